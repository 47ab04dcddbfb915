//! What stands in an answer, in which order, and how much of it.

use super::*;

#[test]
fn options_come_in_the_order_asked_for() {
    let options = |asked: &str, terms: &Terms| {
        let frame = Ask::new(asked).frame();
        let told = told(&answer(&frame, &NODE_A, terms).unwrap()).options;
        assert_eq!(told[..27], hex(&format!("350102 {GIVEN}")));
        told[27..].to_vec()
    };
    let full = terms();
    for (asked, expected) in [
        // Without a list, the usual ones.
        (
            "350101",
            "0104ffffff00 03040a000001 06080a0000350a000036 0c0161 0f097a2e6578616d706c65 1a0205c0 1c040a0000ff 2a040a00007b",
        ),
        // An empty one.
        ("350101 3700", "0104ffffff00 03040a000001 1a0205c0"),
        (
            "350101 37042a1c0301",
            "2a040a00007b 1c040a0000ff 03040a000001 0104ffffff00 1a0205c0",
        ),
        // Twice, without meaning here, or told anyway: once.
        (
            "350101 3708 0101 28 33 35 36 3a ff",
            "0104ffffff00 03040a000001 1a0205c0",
        ),
        // Routes have the default one with them, so there is no other.
        (
            "350101 3702 0379",
            "790c10ac100a000009000a000001 0104ffffff00 1a0205c0",
        ),
        (
            "350101 3701 79 3701 06",
            "790c10ac100a000009000a000001 06080a0000350a000036 0104ffffff00 1a0205c0",
        ),
    ] {
        assert_eq!(options(asked, &full), hex(expected), "{asked}");
    }
    let prefix = |text: &str| text.parse().unwrap();
    let routes = |routes: &[(&str, u32)], router| Terms {
        routes: routes
            .iter()
            .map(|(to, via)| (prefix(to), Vaddr(*via)))
            .collect(),
        router,
        mtu: None,
        ..terms()
    };
    // RFC 3442: as many bytes as the length needs.
    let many = routes(
        &[
            ("10.0.0.0/8", 1),
            ("10.17.0.0/16", 2),
            ("10.27.129.0/24", 3),
            ("10.229.0.128/25", 4),
            ("10.1.1.1/32", 5),
            ("128.0.0.0/1", 6),
        ],
        None,
    );
    assert_eq!(
        options("350101 370179", &many),
        hex(
            "792d 080a00000001 100a1100000002 180a1b8100000003 190ae5008000000004 200a01010100000005 018000000006 0104ffffff00"
        )
    );
    // A subnet without way out, and without anything else to tell.
    let bare = Terms {
        dns: Vec::new(),
        ntp: Vec::new(),
        host_name: None,
        domain: None,
        search: Vec::new(),
        ..routes(&[], None)
    };
    let all = "350101 370a 0103060c0f1a1c2a7779";
    assert_eq!(options(all, &bare), hex("0104ffffff00 1c040a0000ff"));
    // Links of two and of one address have no broadcast.
    let pair = Terms {
        subnet: prefix("10.0.0.2/31"),
        ..bare
    };
    assert_eq!(options("350101 3702011c", &pair), hex("0104fffffffe"));
}

#[test]
fn leases_are_as_long_as_asked_for_up_to_the_subnets() {
    let seconds = |asked: &str, lease: u32| {
        let frame = Ask::new(asked).frame();
        let terms = Terms { lease, ..terms() };
        let told = told(&answer(&frame, &NODE_A, &terms).unwrap());
        told.options[9..].to_vec()
    };
    for (asked, lease, expected) in [
        (
            "350101 3304 00000258",
            3600,
            "3304 00000258 3a04 0000012c 3b04 0000020d",
        ),
        (
            "350101 3304 ffffffff",
            3600,
            "3304 00000e10 3a04 00000708 3b04 00000c4e",
        ),
        (
            "350101 3304 00000000",
            3600,
            "3304 0000003c 3a04 0000001e 3b04 00000034",
        ),
        // Not of its length.
        (
            "350101 3303 000258",
            3600,
            "3304 00000e10 3a04 00000708 3b04 00000c4e",
        ),
        ("350101", 30, "3304 0000001e 3a04 0000000f 3b04 0000001a"),
        (
            "350101 3304 00000001",
            30,
            "3304 0000001e 3a04 0000000f 3b04 0000001a",
        ),
        (
            "350101",
            u32::MAX - 1,
            "3304 fffffffe 3a04 7fffffff 3b04 dffffffe",
        ),
        ("350101", u32::MAX, "3304 ffffffff 0104 ffffff00"),
    ] {
        let expected = hex(expected);
        assert_eq!(
            seconds(asked, lease)[..expected.len()],
            expected,
            "{asked} {lease}"
        );
    }
}

#[test]
fn clients_get_no_more_than_they_take() {
    let with_search = |names: usize, mtu: Option<u16>| Terms {
        search: (0..names)
            .map(|n| format!("{n:04}.a-name-of-thirty-two-bytes.example"))
            .collect(),
        mtu,
        ..terms()
    };
    let total = |asked: &str, terms: &Terms| {
        let answer = answer(&Ask::new(asked).frame(), &NODE_A, terms).unwrap();
        let (_, frame) = answer.reply.unwrap();
        (frame.len() - 14, answer.left_out)
    };
    // Each name takes 41 bytes; `file` takes an option of 125 bytes.
    assert_eq!(total("350101 370177", &with_search(0, None)), (328, 0));
    assert_eq!(
        total("350101 370177", &with_search(8, None)),
        (328, 1),
        "576 bytes"
    );
    assert_eq!(
        total("350101 370177 3902 0240", &with_search(8, None)),
        (328, 1)
    );
    assert_eq!(
        total("350101 370177 3902 0320", &with_search(8, None)),
        (640, 0)
    );
    assert_eq!(
        total("350101 370177 3902 ffff", &with_search(28, None)),
        (1466, 0)
    );
    assert_eq!(
        total("350101 370177 3902 ffff", &with_search(30, None)),
        (328, 1)
    );
    assert_eq!(
        total("350101 370177 3902 ffff", &with_search(27, Some(1400))),
        (328, 1)
    );
    // Less than any client takes is not believed.
    assert_eq!(
        total("350101 370177 3902 0000", &with_search(5, Some(100))),
        (519, 0)
    );
    // What finds no room behind the options is put into unused fields.
    let many = Terms {
        dns: vec![Vaddr(0x0a00_0035); 60],
        ntp: vec![Vaddr(0x0a00_007b); 31],
        routes: Vec::new(),
        ..terms()
    };
    assert_eq!(total("350101 3703 06 2a 0f", &many), (568, 0));
}

/// RFC 4702: what a client calls itself, and what it is told about that.
#[test]
fn names_with_domain() {
    let fqdn = |asked: &str, terms: &Terms| {
        let frame = Ask::new(&format!("350103 32040a000002 3700 {asked}")).frame();
        let answer = answer(&frame, &NODE_A, terms).unwrap();
        let told = told(&answer).options;
        (answer.host_name, told[27 + 16..].to_vec())
    };
    let named = terms();
    let no_domain = Terms {
        domain: None,
        ..terms()
    };
    let no_name = Terms {
        host_name: None,
        ..terms()
    };
    for (asked, terms, name, expected) in [
        ("", &named, "", ""),
        // In labels, the server asked to enter it.
        (
            "5112 05 00 00 05616c706861 076578616d706c65 00",
            &named,
            "alpha.example",
            "5110 0e ff ff 0161 017a 076578616d706c65 00",
        ),
        (
            "5112 05 00 00 05616c706861 076578616d706c65 00",
            &no_domain,
            "alpha.example",
            "5105 0e ff ff 0161",
        ),
        (
            "5112 05 00 00 05616c706861 076578616d706c65 00",
            &no_name,
            "alpha.example",
            "5112 0e ff ff 05616c706861 076578616d706c65 00",
        ),
        // In ASCII, nobody asked to enter it.
        (
            "5108 08 00 00 616c706861",
            &named,
            "alpha",
            "510e 08 ff ff 612e7a2e6578616d706c65",
        ),
        (
            "5108 00 00 00 616c706861",
            &no_name,
            "alpha",
            "5108 08 ff ff 616c706861",
        ),
        // Labels that end in the middle, or have no meaning.
        (
            "5106 04 00 00 05616c",
            &named,
            "",
            "5110 0c ff ff 0161 017a 076578616d706c65 00",
        ),
        (
            "5107 04 00 00 0161 c0 0c",
            &no_name,
            "a",
            "5107 0c ff ff 0161 c0 0c",
        ),
        // Too short to be one.
        ("5102 05 00", &named, "", ""),
        // The name without domain comes first; nothing but letters is kept.
        (
            "0c06 62 1b 65 74 61 00 5108 08 00 00 616c706861",
            &named,
            "beta",
            "510e 08 ff ff 612e7a2e6578616d706c65",
        ),
    ] {
        assert_eq!(
            fqdn(asked, terms),
            (name.to_owned(), hex(expected)),
            "{asked}"
        );
    }
}
