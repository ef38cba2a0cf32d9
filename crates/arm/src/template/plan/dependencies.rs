//! Which resource comes after which.
//!
//! A resource comes after those that its `dependsOn` names, those whose state its expressions ask for, and the one that
//! it is in.

use serde_json::Value;

use super::{Plan, unexpected};
use crate::template::document::visit_texts;
use crate::template::error::TemplateError;
use crate::template::evaluate::parse;
use crate::template::expression::{Expression, Text};
use crate::template::ids;

impl Plan {
    /// Fills in what each resource depends on, and refuses circles.
    pub(super) fn find_dependencies(&mut self) -> Result<(), TemplateError> {
        for position in 0..self.resources.len() {
            let mut found = self.named(position)?;
            found.extend(self.asked_for(position)?);
            found.extend(self.around(position));
            found.sort_unstable();
            found.dedup();
            self.resources[position].depends_on = found;
        }
        self.order().map(drop)
    }

    /// The positions of the resources in an order in which each comes after those that it depends on; of several, the one
    /// that stands first in the template.
    ///
    /// # Errors
    /// When some depend on one another in a circle.
    pub fn order(&self) -> Result<Vec<usize>, TemplateError> {
        let mut waits_for: Vec<usize> = self.resources.iter().map(|planned| planned.depends_on.len()).collect();
        let mut followers = vec![Vec::new(); self.resources.len()];
        for (position, planned) in self.resources.iter().enumerate() {
            for before in &planned.depends_on {
                followers[*before].push(position);
            }
        }
        let free = waits_for.iter().enumerate().filter(|(_, count)| **count == 0).map(|(position, _)| position);
        let mut free: std::collections::BTreeSet<usize> = free.collect();
        let mut order = Vec::with_capacity(self.resources.len());
        while let Some(next) = free.pop_first() {
            order.push(next);
            for follower in &followers[next] {
                waits_for[*follower] -= 1;
                if waits_for[*follower] == 0 {
                    free.insert(*follower);
                }
            }
        }
        if order.len() == self.resources.len() {
            return Ok(order);
        }
        let stuck = (0..self.resources.len()).filter(|position| !order.contains(position));
        let stuck: Vec<String> = stuck.take(10).map(|position| self.resources[position].id.to_string()).collect();
        let reason = format!("circular dependency detected on resources: '{}'", stuck.join("', '"));
        Err(TemplateError::invalid("resources", reason))
    }

    /// What `dependsOn` names.
    fn named(&self, position: usize) -> Result<Vec<usize>, TemplateError> {
        let planned = &self.resources[position];
        let Some(depends_on) = planned.source.get("dependsOn") else { return Ok(Vec::new()) };
        let place = format!("{}.dependsOn", planned.place);
        let value = self.early_evaluator(&place, &planned.loops).json(depends_on).map_err(unexpected)?;
        let Value::Array(names) = value else {
            return Err(TemplateError::invalid(&place, "it is an array of resources"));
        };
        let mut found = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let place = format!("{place}[{i}]");
            let Value::String(name) = name else {
                return Err(TemplateError::invalid(&place, "a resource is named by a string"));
            };
            self.bindings.budget.step(&place, 1 + self.resources.len() as u64 / 8)?;
            let several = self.index.by_group.get(name).or_else(|| self.index.by_loop.get(&name.to_lowercase()));
            match (several, self.position(name).or_else(|| self.in_other_scope(name))) {
                (Some(several), _) => found.extend(several),
                (None, Some(one)) => found.push(one),
                (None, None) => {
                    let reason = format!("the resource '{name}' is not defined in the template");
                    return Err(TemplateError::invalid(&place, reason));
                }
            }
        }
        Ok(found)
    }

    /// In a template in another one, `resourceId()` may mean the outer group: then type and name decide.
    fn in_other_scope(&self, text: &str) -> Option<usize> {
        let id = ids::absolute(&self.scope, text)?;
        let kind = id.resource_type()?;
        let tail = |id: &wharf_model::ResourceId| id.key().rsplit_once("/providers/").map(|(_, tail)| tail.to_owned());
        let mut matching =
            self.resources.iter().enumerate().filter(|(_, planned)| {
                planned.resource_type.eq_ignore_ascii_case(&kind) && tail(&planned.id) == tail(&id)
            });
        match (matching.next(), matching.next()) {
            (Some((position, _)), None) => Some(position),
            _ => None,
        }
    }

    /// Those whose state its expressions ask for, as far as it can be told before they are evaluated.
    fn asked_for(&self, position: usize) -> Result<Vec<usize>, TemplateError> {
        let planned = &self.resources[position];
        let found = std::cell::RefCell::new(Vec::new());
        let look = |place: &str, text: &str| {
            self.bindings.budget.step(place, 1 + text.len() as u64 / 64)?;
            let Text::Expression(source) = Text::of(text) else { return Ok(()) };
            let lower = source.to_ascii_lowercase();
            if !lower.contains("reference") && !lower.contains("list") {
                return Ok(());
            }
            let expression = parse(source, place)?;
            expression.visit(&mut |part| {
                let Expression::Call { name, arguments } = part else { return };
                let name = name.to_ascii_lowercase();
                if !(name == "reference" || name == "references" || name.starts_with("list")) {
                    return;
                }
                let Some(first) = arguments.first() else { return };
                let named = self.early_evaluator(place, &planned.loops).text(&format!("[{first}]"));
                if let Ok(Value::String(named)) = named {
                    let mut found = found.borrow_mut();
                    found.extend(self.position(&named));
                    found.extend(self.index.by_group.get(&named).into_iter().flatten());
                }
            });
            Ok(())
        };
        let body = planned.source.iter().filter(|(name, _)| !super::expand::is_of_template(name));
        for (name, value) in body {
            let mut place = format!("{}.{name}", planned.place);
            match value {
                // Of a template with names of its own, only what it is given is looked at.
                Value::Object(properties) if name == "properties" && planned.is_deployment() => {
                    let is_inner = super::nested::is_inner(properties);
                    for (name, value) in properties.iter().filter(|(name, _)| !(is_inner && *name == "template")) {
                        visit_texts(&mut format!("{place}.{name}"), value, &look)?;
                    }
                }
                _ => visit_texts(&mut place, value, &look)?,
            }
        }
        let found = found.into_inner();
        // A deployment's outer template may speak of itself; another resource may not.
        let is_itself = |other: &usize| *other == position;
        if found.iter().any(is_itself) && !planned.is_deployment() {
            let reason = format!("the resource '{}' asks for its own state", planned.id);
            return Err(TemplateError::invalid(&planned.place, reason));
        }
        Ok(found.into_iter().filter(|other| !is_itself(other)).collect())
    }

    /// The nearest resource of the template that it is in.
    fn around(&self, position: usize) -> Option<usize> {
        let around = self.resources[position].id.scopes().skip(1);
        around.filter_map(|id| self.index.by_id.get(&id).copied()).find(|other| *other != position)
    }
}
