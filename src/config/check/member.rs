//! Hosts that hear multicast groups.

use super::tenant::vnet_of;
use super::{At, Findings, Index, Objects, Once};
use crate::config::{Config, Problem};
use crate::model::Member;

pub(super) fn check(config: &Config, index: &Index<'_>, out: &mut Findings) {
    let mut once = Once::new("member");
    for (nth, one) in config.member.iter().enumerate() {
        let at = At::nth("member", nth);
        member(at, one, index, out);
        if let Some(first) = once.again((&one.vnet, one.group, &one.host), nth) {
            let message = format!("host `{}` hears {} by {first} already", one.host, one.group);
            out.problem(at.key("host"), message);
        }
    }
}

/// One member of a group.
pub fn member(at: At<'_>, member: &Member, objects: &impl Objects, out: &mut Findings) {
    let group = member.group;
    if !group.is_multicast() {
        out.hinted(
            at.key("group"),
            format!("{group} is no multicast group"),
            "groups lie in 224.0.0.0/4",
        );
    }
    if let Some(vnet) = vnet_of(at, &member.vnet, objects, out)
        && let Some(withheld) = vnet.withheld.iter().find(|all| all.contains(group))
    {
        let message = format!(
            "{group} is not carried: vnet `{}` withholds {withheld}",
            vnet.name
        );
        out.problem(at.key("group"), message);
    }
    let host = &member.host;
    if objects.host(host).is_none() {
        let problem = Problem::new(at.key("host"), format!("no host is called `{host}`"));
        out.problems.push(if *host == objects.site().name {
            problem.hint("this is the host itself; its own nodes join by themselves")
        } else {
            problem.known(host, objects.host_names())
        });
    }
    if member.expires == Some(0) {
        out.hinted(
            at.key("expires"),
            "it would have expired already",
            "leave the key out for a member that stays",
        );
    }
}
