//! Tiers, and what each allows.

use wharf_arm::{ArmError, Code};

use super::reading::{Words as _, shortened, words};

words! {
    /// A tier, from the smallest.
    #[derive(PartialOrd, Ord)]
    Sku { Basic = "Basic", Standard = "Standard", Premium = "Premium" }
}

/// The quantities of a tier. Source: `acr/semantics.md` 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Storage that is included, in bytes. More is billed, not refused.
    pub(crate) included_bytes: i64,
    /// Webhooks.
    pub(crate) webhooks: i64,
    /// Tokens, and as many scope maps.
    pub(crate) tokens: i64,
    /// Rules for addresses.
    pub(crate) ip_rules: i64,
    /// Rules for subnets.
    pub(crate) network_rules: i64,
    /// Private endpoints.
    pub(crate) private_endpoints: i64,
}

impl Sku {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Premium => "Premium",
        }
    }

    /// The tier with this word, in any case.
    ///
    /// # Errors
    /// When there is none. The tier `Classic` is gone.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, ArmError> {
        let found = Self::VALUES.iter().find(|sku| sku.as_str().eq_ignore_ascii_case(text.trim()));
        found.copied().ok_or_else(|| {
            let text = shortened(text);
            ArmError::new(
                Code::InvalidSku,
                format!("The SKU '{text}' does not exist. Choose one of: Basic, Standard, Premium."),
            )
            .with_target(path)
        })
    }

    /// Its quantities.
    pub(crate) fn limits(self) -> Limits {
        const GIB: i64 = 1 << 30;
        let none = Limits {
            included_bytes: 10 * GIB,
            webhooks: 2,
            tokens: 100,
            ip_rules: 0,
            network_rules: 0,
            private_endpoints: 0,
        };
        match self {
            Self::Basic => none,
            Self::Standard => Limits { included_bytes: 100 * GIB, webhooks: 10, tokens: 500, ..none },
            Self::Premium => Limits {
                included_bytes: 500 * GIB,
                webhooks: 500,
                tokens: 50_000,
                ip_rules: 200,
                network_rules: 100,
                private_endpoints: 200,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_read_in_any_case_and_ordered() {
        assert_eq!(Sku::parse("sku.name", "pREMIUM").unwrap(), Sku::Premium);
        assert!(Sku::Basic < Sku::Standard && Sku::Standard < Sku::Premium);
        let error = Sku::parse("sku.name", "Classic").unwrap_err();
        assert_eq!(error.code, Code::InvalidSku);
        assert_eq!(error.target.as_deref(), Some("sku.name"));
    }
}
