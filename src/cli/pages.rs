//! Lists by page, and the answer to a change.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::output::{Context, remark};
use super::table::{Column, Table, number, text};
use crate::control::client::{Client, ClientError};
use crate::control::proto::{
    Access, Applied, BindingList, EamList, Held, HostList, Learned, MappingList, MemberList,
    OutsiderList, Page, Request, RouteList, RouterList, SubnetList, VnetList, VrouteList,
};
use crate::model;

/// An object as a row of a table.
pub(super) trait Row {
    const COLUMNS: &'static [Column];

    /// `learned` is what the appliance found out by itself.
    fn cells(&self, learned: Option<&Learned>) -> Vec<String>;
}

/// A request for a list that comes in pages.
pub(super) trait Pages: Request<Reply = Page<Held<Self::Object>>> {
    type Object: Row + Serialize + DeserializeOwned;

    fn turn_to(&mut self, cursor: Option<String>, limit: Option<usize>);
}

macro_rules! pages {
    ($($request:ty => $object:ty;)*) => {$(
        impl Pages for $request {
            type Object = $object;

            fn turn_to(&mut self, cursor: Option<String>, limit: Option<usize>) {
                self.cursor = cursor;
                self.limit = limit;
            }
        }
    )*};
}

pages! {
    VnetList => model::Vnet;
    HostList => model::Host;
    BindingList => model::Binding;
    MappingList => model::Mapping;
    RouteList => model::Route;
    EamList => model::Eam;
    OutsiderList => model::Outsider;
    SubnetList => model::Subnet;
    RouterList => model::Router;
    VrouteList => model::Vroute;
    MemberList => model::Member;
}

/// Asks for page after page and hands each over, up to `most` objects. True if
/// there was more.
pub(super) fn each_page<L: Pages>(
    client: &mut Client,
    mut request: L,
    most: Option<usize>,
    mut take: impl FnMut(Vec<Held<L::Object>>) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let page = client.welcome().limits.page;
    let mut left = most.unwrap_or(usize::MAX);
    let mut cursor = None;
    loop {
        // A limit above the appliance's would be refused.
        let wanted = most.map(|_| left.min(page.max(1)));
        request.turn_to(cursor.clone(), wanted);
        let mut reply = client.call(&request)?;
        let more = reply.items.len() > left || reply.next.is_some();
        reply.items.truncate(left);
        left -= reply.items.len();
        take(reply.items)?;
        if left == 0 || reply.next.is_none() {
            return Ok(more);
        }
        if reply.next == cursor {
            let again = format!("{} turned to the same page twice", L::METHOD);
            return Err(ClientError::Nonsense(again).into());
        }
        cursor = reply.next;
    }
}

/// Prints a list: a table, or an object a line.
pub(super) fn list<L: Pages>(
    context: &mut Context,
    request: L,
    most: Option<usize>,
) -> Result<(), Failure> {
    let mut client = context.connect(Access::ReadOnly)?;
    let columns = L::Object::COLUMNS.iter().copied();
    let mut table = Table::new(columns.chain([number("REVISION"), text("ORIGIN")]));
    let more = each_page(&mut client, request, most, |items| {
        for held in &items {
            match context.json {
                true => context.json(held)?,
                false => table.row(cells(held)),
            }
        }
        match context.json {
            true => Ok(()),
            false => table.write(context),
        }
    })?;
    if more && !context.json {
        context.flush()?;
        remark("weft: there are more; raise --limit or leave it out to see them");
    }
    Ok(())
}

/// Prints one object, found by its name in the list.
pub(super) fn show<L: Pages>(
    context: &mut Context,
    request: L,
    name: &str,
    is_it: impl Fn(&L::Object) -> bool,
) -> Result<(), Failure> {
    let mut client = context.connect(Access::ReadOnly)?;
    let mut found = None;
    each_page(&mut client, request, None, |items| {
        found = found
            .take()
            .or_else(|| items.into_iter().find(|held| is_it(&held.object)));
        Ok(())
    })?;
    match found {
        Some(held) => show_held(context, &held),
        None => {
            let method = L::METHOD.name();
            let kind = method.strip_suffix(".list").unwrap_or(method);
            Err(Failure::Local(format!(
                "no {kind} `{name}`; see `weft {kind} list`"
            )))
        }
    }
}

/// Prints one object as a table of one row.
pub(super) fn show_held<T: Row + Serialize>(
    context: &mut Context,
    held: &Held<T>,
) -> Result<(), Failure> {
    if context.json {
        return context.json(held);
    }
    let columns = T::COLUMNS.iter().copied();
    let mut table = Table::new(columns.chain([number("REVISION"), text("ORIGIN")]));
    table.row(cells(held));
    table.write(context)
}

fn cells<T: Row>(held: &Held<T>) -> Vec<String> {
    let mut cells = held.object.cells(held.learned.as_ref());
    cells.push(optional_revision(held.revision));
    cells.push(held.origin.to_string());
    cells
}

fn optional_revision(revision: u64) -> String {
    match revision {
        0 => String::new(),
        revision => revision.to_string(),
    }
}

/// Asks for a change and prints what became of it.
pub(super) fn change<R: Request<Reply = Applied>>(
    context: &mut Context,
    request: &R,
) -> Result<(), Failure> {
    let applied = context.call(request)?;
    match context.json {
        true => context.json(&applied),
        false => context.line(outcome(&applied)),
    }
}

/// `1 applied`, `2 unchanged`, …
pub(super) fn outcome(applied: &Applied) -> String {
    let parts: Vec<_> = [
        (applied.applied, "applied"),
        (applied.unchanged, "unchanged"),
        (applied.stale, "stale (a newer revision is known)"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    match parts.is_empty() {
        true => "nothing to do".to_owned(),
        false => parts.join(", "),
    }
}

/// Several values in one cell.
pub(super) fn join<T: std::fmt::Display>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(T::to_string).collect();
    values.join(",")
}

/// An optional value in a cell.
pub(super) fn or_empty<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_names_what_happened_and_nothing_else() {
        let mut applied = Applied::default();
        assert_eq!(outcome(&applied), "nothing to do");
        applied.applied = 2;
        applied.stale = 1;
        assert_eq!(
            outcome(&applied),
            "2 applied, 1 stale (a newer revision is known)"
        );
    }
}
