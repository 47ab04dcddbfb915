//! The tables of RFC 3376 section 6.4, row by row, and section 7.3.2.

use super::*;

const ANY: Vaddr = Vaddr(0xef01_0203);

/// Sources a, b, c, d.
fn named(names: &str) -> Vec<Vaddr> {
    names
        .bytes()
        .map(|name| Vaddr(0x0a00_0000 + u32::from(name)))
        .collect()
}

fn names(sources: impl IntoIterator<Item = Vaddr>) -> String {
    let name = |source: Vaddr| char::from((source.0 - 0x0a00_0000) as u8);
    sources.into_iter().map(name).collect()
}

/// INCLUDE(a) whose timers run for another 100 s.
fn include(sources: &str) -> Membership {
    let mut state = Membership::default();
    state
        .record(RecordKind::IsIn, &named(sources), Time::ZERO)
        .unwrap();
    state
}

/// EXCLUDE(x, y), group and sources from the same moment.
fn exclude(wanted: &str, unwanted: &str) -> Membership {
    let mut state = Membership::default();
    state
        .record(RecordKind::IsEx, &named(unwanted), Time::ZERO)
        .unwrap();
    state
        .record(RecordKind::Allow, &named(wanted), Time::ZERO)
        .unwrap();
    state
}

/// The state in the RFC's words, with each timer in seconds after `now`.
fn shown(state: &Membership, now: Time) -> String {
    let seconds = |until: Time| until.since(now) / 1000;
    let timed = |source: (&Vaddr, &Source)| match source.1.until {
        Some(until) => format!("{}{}", names([*source.0]), seconds(until)),
        None => format!("-{}", names([*source.0])),
    };
    let sources: Vec<_> = state.sources.iter().map(timed).collect();
    match state.mode {
        Mode::Include => format!("IN {}", sources.join(" ")),
        Mode::Exclude { until } => format!("EX{} {}", seconds(until), sources.join(" ")),
    }
}

/// Questions: `Q` about the group, else the sources; `!` with the S flag.
fn asked(questions: &[Question]) -> String {
    let one = |question: &Question| {
        let what = match &question.sources[..] {
            [] => "Q".to_owned(),
            sources => names(sources.iter().copied()),
        };
        format!("{what}{}", if question.suppress { "!" } else { "" })
    };
    questions.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tables_of_section_6_4() {
    use RecordKind::*;
    // All timers have 160 s to go when the record comes.
    let now = Time(100_000);
    let rows = [
        // 6.4.1
        (include("ab"), IsIn, "bc", "IN a160 b260 c260", ""),
        (include("ab"), IsEx, "bc", "EX260 b160 -c", ""),
        (
            exclude("ab", "cd"),
            IsIn,
            "ac",
            "EX160 a260 b160 c260 -d",
            "",
        ),
        (exclude("ab", "cd"), IsEx, "ace", "EX260 a160 -c e260", ""),
        // 6.4.2
        (include("ab"), Allow, "bc", "IN a160 b260 c260", ""),
        (include("ab"), Block, "bc", "IN a160 b2", "b"),
        (include("ab"), ToEx, "bc", "EX260 b2 -c", "b"),
        (include("ab"), ToIn, "bc", "IN a2 b260 c260", "a"),
        (
            exclude("ab", "cd"),
            Allow,
            "ac",
            "EX160 a260 b160 c260 -d",
            "",
        ),
        (
            exclude("ab", "cd"),
            Block,
            "ace",
            "EX160 a2 b160 -c -d e2",
            "ae",
        ),
        (exclude("ab", "cd"), ToEx, "ace", "EX260 a2 -c e2", "ae"),
        (
            exclude("ab", "cd"),
            ToIn,
            "ac",
            "EX2 a260 b2 c260 -d",
            "Q b",
        ),
        // Nothing there yet.
        (Membership::default(), ToIn, "", "IN ", ""),
        (Membership::default(), Block, "a", "IN ", ""),
        (Membership::default(), ToEx, "", "EX260 ", ""),
    ];
    for (before, kind, said, after, questions) in rows {
        let mut state = before.clone();
        state.record(kind, &named(said), now).unwrap();
        let row = format!("{} {kind:?} {said}", shown(&before, now));
        assert_eq!(shown(&state, now), after, "{row}");
        assert_eq!(asked(&state.timer(now)), questions, "{row}");
    }
}

#[test]
fn filters_are_what_is_forwarded() {
    assert_eq!(exclude("", "").filter(), Filter::Any);
    assert_eq!(exclude("a", "").filter(), Filter::Any);
    assert_eq!(exclude("a", "b").filter(), Filter::Except(named("b")));
    assert_eq!(include("ab").filter(), Filter::Only(named("ab")));
    assert!(include("").is_over());
    assert!(!exclude("", "").is_over());
}

#[test]
fn a_group_nobody_confirms_ends_after_260_seconds() {
    let mut state = exclude("", "a");
    assert_eq!(state.due(), Some(Time(260_000)));
    assert_eq!(state.until(), Time(260_000));
    assert_eq!(state.timer(Time(259_999)), []);
    assert!(!state.is_over());
    assert_eq!(state.timer(Time(260_000)), []);
    assert!(state.is_over());
    assert_eq!(state.due(), None);
}

#[test]
fn sources_end_each_for_itself() {
    let mut state = include("a");
    state
        .record(RecordKind::Allow, &named("b"), Time(60_000))
        .unwrap();
    state.timer(Time(260_000));
    assert_eq!(state.filter(), Filter::Only(named("b")));
    state.timer(Time(320_000));
    assert!(state.is_over());
    // In EXCLUDE a source that has run out is one not wanted (section 6.3).
    let mut state = exclude("a", "");
    state
        .record(RecordKind::IsEx, &named("a"), Time(60_000))
        .unwrap();
    state.timer(Time(260_000));
    assert_eq!(state.filter(), Filter::Except(named("a")));
}

#[test]
fn who_excluded_is_gone_and_who_included_is_not() {
    let mut state = exclude("", "a");
    state
        .record(RecordKind::Allow, &named("b"), Time(60_000))
        .unwrap();
    state.timer(Time(260_000));
    assert_eq!(shown(&state, Time(260_000)), "IN b60");
}

#[test]
fn a_leave_is_asked_about_twice_and_believed_after_two_seconds() {
    let mut state = exclude("", "");
    let leave = Message::Leave(ANY);
    state.older(&leave, Time(1_000));
    assert_eq!(asked(&state.timer(Time(1_000))), "Q");
    assert_eq!(state.timer(Time(1_999)), []);
    assert_eq!(asked(&state.timer(Time(2_000))), "Q");
    assert_eq!(state.timer(Time(2_999)), []);
    assert!(!state.is_over());
    assert_eq!(state.timer(Time(3_000)), []);
    assert!(state.is_over());
}

#[test]
fn an_answer_to_the_question_keeps_the_group() {
    let mut state = exclude("", "");
    state.older(&Message::Leave(ANY), Time(1_000));
    assert_eq!(asked(&state.timer(Time(1_000))), "Q");
    state.older(&Message::ReportV2(ANY), Time(1_500));
    assert_eq!(
        asked(&state.timer(Time(2_000))),
        "Q!",
        "routers need not hurry"
    );
    state.timer(Time(3_000));
    assert_eq!(state.until(), Time(261_500));
    assert_eq!(state.due(), Some(Time(261_500)));
}

#[test]
fn sources_are_asked_about_twice() {
    let mut state = include("abc");
    state
        .record(RecordKind::Block, &named("ab"), Time(0))
        .unwrap();
    assert_eq!(asked(&state.timer(Time(0))), "ab");
    state
        .record(RecordKind::Allow, &named("a"), Time(500))
        .unwrap();
    // a is wanted again, so its question suppresses; b is open.
    assert_eq!(asked(&state.timer(Time(1_000))), "a! b");
    state.timer(Time(2_000));
    assert_eq!(shown(&state, Time(2_000)), "IN a258 c258");
    assert_eq!(state.next_question, None);
}

#[test]
fn older_hosts_decide_what_counts() {
    let now = Time(1_000);
    // Version 2: BLOCK counts for nothing, TO_EX without its sources.
    let mut state = Membership::default();
    state.older(&Message::ReportV2(ANY), Time::ZERO);
    assert_eq!(state.version(now), 2);
    state.record(RecordKind::Block, &named("a"), now).unwrap();
    assert_eq!(state.filter(), Filter::Any);
    state.record(RecordKind::ToEx, &named("a"), now).unwrap();
    assert_eq!(state.filter(), Filter::Any);
    state.record(RecordKind::ToIn, &[], now).unwrap();
    assert_eq!(state.until(), Time(3_000));
    // Version 1: nobody leaves.
    let mut state = Membership::default();
    state.older(&Message::ReportV1(ANY), Time::ZERO);
    state.older(&Message::ReportV2(ANY), Time::ZERO);
    assert_eq!(state.version(now), 1);
    state.older(&Message::Leave(ANY), now);
    state.record(RecordKind::ToIn, &[], now).unwrap();
    assert_eq!(state.until(), Time(260_000));
    assert_eq!(state.timer(now), []);
    // The older host is gone when it has not been heard for 260 s.
    assert_eq!(state.version(Time(259_999)), 1);
    assert_eq!(state.version(Time(260_000)), 3);
}

#[test]
fn sources_are_few() {
    let many: Vec<_> = (0..65).map(|n| Vaddr(0x0a00_0100 + n)).collect();
    for kind in [
        RecordKind::IsIn,
        RecordKind::Allow,
        RecordKind::ToEx,
        RecordKind::IsEx,
    ] {
        let mut state = include("a");
        let before = state.clone();
        assert_eq!(state.record(kind, &many, Time::ZERO), Err(TooManySources));
        assert_eq!(state, before);
    }
    let mut state = exclude("", "");
    assert_eq!(
        state.record(RecordKind::Allow, &many[..64], Time::ZERO),
        Ok(())
    );
    assert_eq!(
        state.record(RecordKind::Block, &named("a"), Time::ZERO),
        Err(TooManySources)
    );
    // What replaces all that is there has room again.
    assert_eq!(
        state.record(RecordKind::IsEx, &named("a"), Time::ZERO),
        Ok(())
    );
    // A node in INCLUDE that blocks what it never had needs none.
    let mut state = include("a");
    assert_eq!(state.record(RecordKind::Block, &many, Time::ZERO), Ok(()));
}
