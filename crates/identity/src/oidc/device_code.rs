//! Device codes: signing in on another device than the one that needs it.
//!
//! ```text
//! device: start ─► device code, user code       person: opens the page, types the user code, signs in, says yes or no
//!         poll  ─► pending … pending ──────────────────────────────────────────► approved (once) or declined
//! ```
//!
//! Source: RFC 8628.

use std::net::IpAddr;
use std::time::Duration;

use wharf_metadata::sign_ins::{self, DeviceCodeRow, DeviceState};
use wharf_model::Timestamp;

use super::Authentication;
use crate::Error;
use crate::directory::neighbourhood;
use crate::identity::Identity;

/// What a device is given.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// What it polls with.
    pub device_code: String,
    /// What the person types.
    pub user_code: String,
    /// How long both are good.
    pub expires_in: Duration,
    /// How long it must wait between two polls.
    pub interval: Duration,
}

/// What a device wants, for the person who is to decide.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// The user code, as it is shown.
    pub user_code: String,
    /// The client that asked.
    pub client_id: String,
    /// What it asked for.
    pub scope: String,
    /// The address that it asked from.
    pub address: String,
}

/// What a device gets for polling at last.
#[derive(Clone, Debug)]
pub struct DeviceGrant {
    /// Who approved it.
    pub authentication: Authentication,
    /// What was asked for.
    pub scope: String,
}

/// Why no device code is given out.
#[derive(Debug, thiserror::Error)]
pub enum DeviceStartError {
    /// Too many wait for somebody to type theirs.
    #[error("too many device codes wait to be used; try again later")]
    TooMany,
    /// A failure on our side.
    #[error("the device code could not be made")]
    Unavailable(#[from] Error),
}

/// Why a device gets no token (yet).
#[derive(Debug, thiserror::Error)]
pub enum DevicePollError {
    /// Nobody has answered yet.
    #[error("nobody has answered yet")]
    Pending,
    /// It polls too often; the interval is longer from now on.
    #[error("the device polls too often")]
    TooFast,
    /// The person said no.
    #[error("the person declined")]
    Declined,
    /// The code's time is over.
    #[error("the device code has expired")]
    Expired,
    /// There is no such code (any more), or another client's.
    #[error("the device code is not known or was used")]
    Unknown,
    /// Whoever approved it may not sign in any more.
    #[error("whoever approved the device may not sign in any more")]
    Revoked,
    /// A failure on our side.
    #[error("the device code could not be checked")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Gives a device a code.
    ///
    /// # Errors
    /// When too many are waiting, or the database fails.
    pub async fn start_device_code(
        &self,
        client_id: &str,
        scope: &str,
        address: IpAddr,
    ) -> Result<DeviceCode, DeviceStartError> {
        let now = self.parts().clock.now();
        for _ in 0..ATTEMPTS {
            let device_code = self.new_secret("");
            let user_code = self.new_user_code();
            let row = DeviceCodeRow {
                code_mac: self.mac_of(MAC_CONTEXT, &device_code),
                user_code: user_code.clone(),
                client_id: client_id.to_owned(),
                scope: scope.to_owned(),
                address: address.to_string(),
                neighbourhood: neighbourhood(address).to_string(),
                state: DeviceState::Pending,
                interval_seconds: INTERVAL.as_secs() as i64,
                polled_before: None,
                expires_at: now + LIFETIME,
            };
            let inserted = self
                .parts()
                .database
                .write(move |c| {
                    Box::pin(async move {
                        let (all, from_there) = sign_ins::count_device_codes(c, &row.neighbourhood, now).await?;
                        if all >= MOST_WAITING || from_there >= MOST_WAITING_FROM_ONE_ADDRESS {
                            return Err(DeviceStartError::TooMany);
                        }
                        Ok(sign_ins::insert_device_code(c, &row).await?)
                    })
                })
                .await?;
            if inserted {
                let user_code = shown(&user_code);
                return Ok(DeviceCode { device_code, user_code, expires_in: LIFETIME, interval: INTERVAL });
            }
        }
        Err(DeviceStartError::TooMany)
    }

    /// What the device with this user code wants, if nobody has answered it yet. The code may be typed in any case, with or
    /// without its hyphen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_device_request(&self, user_code: &str) -> Result<Option<DeviceRequest>, Error> {
        let Some(user_code) = typed(user_code) else { return Ok(None) };
        let now = self.parts().clock.now();
        let find = self.parts().database.read(move |c| {
            Box::pin(async move { sign_ins::find_device_code(c, &user_code).await.map_err(Error::from) })
        });
        let waiting = find.await?.filter(|row| row.state == DeviceState::Pending && now < row.expires_at);
        Ok(waiting.map(|row| DeviceRequest {
            user_code: shown(&row.user_code),
            client_id: row.client_id,
            scope: row.scope,
            address: row.address,
        }))
    }

    /// Lets a device in as `approved`, or not at all. Returns `false` when its code has expired or was answered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn answer_device(&self, user_code: &str, approved: Option<&Authentication>) -> Result<bool, Error> {
        let Some(user_code) = typed(user_code) else { return Ok(false) };
        let (row, now) = (approved.map(Authentication::to_row), self.parts().clock.now());
        let answer = self.parts().database.write(move |c| {
            Box::pin(async move {
                sign_ins::answer_device_code(c, &user_code, row.as_ref(), now).await.map_err(Error::from)
            })
        });
        answer.await
    }

    /// Asks whether a device may go on. Of many who ask with one approved code, one is told so.
    ///
    /// # Errors
    /// When it may not, or not yet.
    pub async fn poll_device(&self, device_code: &str, client_id: &str) -> Result<DeviceGrant, DevicePollError> {
        let now = self.parts().clock.now();
        let mac = self.mac_of(MAC_CONTEXT, device_code);
        let client_id = client_id.to_owned();
        let polled: Result<(Verdict, Option<DeviceCodeRow>), Error> = self
            .parts()
            .database
            .write(move |c| {
                Box::pin(async move {
                    let Some(row) = sign_ins::poll_device_code(c, &mac, now).await? else {
                        return Ok((Verdict::Unknown, None));
                    };
                    let verdict = judge(&row, &client_id, now);
                    match verdict {
                        Verdict::TooFast => {
                            let longer = row.interval_seconds + INTERVAL.as_secs() as i64;
                            sign_ins::slow_device_down(c, &mac, longer).await?;
                        }
                        Verdict::Declined | Verdict::Expired | Verdict::Approved => {
                            sign_ins::delete_device_code(c, &mac).await?;
                        }
                        Verdict::Unknown | Verdict::Pending => {}
                    }
                    Ok((verdict, Some(row)))
                })
            })
            .await;
        match polled? {
            (Verdict::Approved, Some(DeviceCodeRow { state: DeviceState::Approved(who), scope, .. })) => {
                let authentication = self.resume(&who).await?.ok_or(DevicePollError::Revoked)?;
                Ok(DeviceGrant { authentication, scope })
            }
            (Verdict::Approved | Verdict::Unknown, _) => Err(DevicePollError::Unknown),
            (Verdict::Pending, _) => Err(DevicePollError::Pending),
            (Verdict::TooFast, _) => Err(DevicePollError::TooFast),
            (Verdict::Declined, _) => Err(DevicePollError::Declined),
            (Verdict::Expired, _) => Err(DevicePollError::Expired),
        }
    }

    /// Eight consonants: none is mistaken for a digit, and no word comes out.
    fn new_user_code(&self) -> String {
        let mut code = String::with_capacity(USER_CODE_LENGTH);
        let mut bytes = [0; 16];
        while code.len() < USER_CODE_LENGTH {
            self.parts().random.fill(&mut bytes);
            let fair = bytes.iter().filter(|&&byte| usize::from(byte) < ALPHABET.len() * (256 / ALPHABET.len()));
            let characters = fair.map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            code.extend(characters.take(USER_CODE_LENGTH - code.len()));
        }
        code
    }
}

#[derive(Clone, Copy)]
enum Verdict {
    Pending,
    TooFast,
    Declined,
    Expired,
    Unknown,
    Approved,
}

/// What a device that polls is to be told. An answer is not held back from one that polls too often.
fn judge(row: &DeviceCodeRow, client_id: &str, now: Timestamp) -> Verdict {
    if row.client_id != client_id {
        return Verdict::Unknown;
    }
    if now >= row.expires_at {
        return Verdict::Expired;
    }
    match row.state {
        DeviceState::Approved(_) => Verdict::Approved,
        DeviceState::Declined => Verdict::Declined,
        DeviceState::Pending => {
            // A second less, for clocks and networks: clients count from when they sent, we from when it came.
            let interval = Duration::from_secs(u64::try_from(row.interval_seconds - 1).unwrap_or(0));
            match row.polled_before {
                Some(before) if now < before + interval => Verdict::TooFast,
                _ => Verdict::Pending,
            }
        }
    }
}

/// A user code as it is shown: two groups of four.
fn shown(code: &str) -> String {
    match code.split_at_checked(USER_CODE_LENGTH / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// A user code as it is kept, from what somebody typed.
fn typed(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > 4 * USER_CODE_LENGTH {
        return None;
    }
    let code: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    (code.len() == USER_CODE_LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte))).then_some(code)
}

impl From<wharf_metadata::Error> for DeviceStartError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

const MAC_CONTEXT: &str = "device-code";
const ALPHABET: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: usize = 8;
/// How long a device code is good. Source: Entra ID's.
const LIFETIME: Duration = Duration::from_secs(900);
/// How long a device waits between two polls, and how much longer each time that it does not.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many device codes may wait at a time. Anybody can ask for one.
const MOST_WAITING: i64 = 10_000;
/// How many of them one address, or network of IPv6, may have asked for, so that it leaves some for others.
const MOST_WAITING_FROM_ONE_ADDRESS: i64 = 100;
/// How often a user code is drawn that happens to be taken.
const ATTEMPTS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_codes_are_taken_as_people_type_them() {
        for text in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "BCDF--GHJK"] {
            assert_eq!(typed(text).as_deref(), Some("BCDFGHJK"), "{text}");
        }
        for text in ["", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDF-GHJÄ", "B-C-D-F-G-H-J-K-------------------------"] {
            assert_eq!(typed(text), None, "{text}");
        }
        assert_eq!(shown("BCDFGHJK"), "BCDF-GHJK");
    }
}
