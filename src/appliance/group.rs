//! The number of a group, from `/etc/group`.

/// `None` if no group has this name. A number that is no name is itself, be
/// there a group of that number or not.
pub(super) fn id_of(name: &str) -> Option<u32> {
    let file = std::fs::read_to_string("/etc/group").unwrap_or_default();
    find(&file, name).or_else(|| name.parse().ok())
}

fn find(file: &str, name: &str) -> Option<u32> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let file = "root:x:0:\ndaemon:x:1:\nweft:x:990:alice,bob\nbroken\n";
        assert_eq!(find(file, "weft"), Some(990));
        assert_eq!(find(file, "wef"), None);
        assert_eq!(find(file, "broken"), None);
        assert_eq!(id_of("root"), Some(0));
        assert_eq!(id_of("60001"), Some(60_001));
        assert_eq!(id_of("no-group-of-this-name"), None);
    }
}
