//! What a client of each state is told (RFC 2131 section 4.3), and how.

use super::*;

/// The address of the answers is in use already.
const USED: Told = Told {
    to: A,
    dst: A_ADDRESS,
    flags: 0,
    ciaddr: A_ADDRESS,
    yiaddr: A_ADDRESS,
    options: Vec::new(),
};
/// The address is new to the client.
const NEW: Told = Told {
    to: A,
    dst: A_ADDRESS,
    flags: 0,
    ciaddr: NOBODY,
    yiaddr: A_ADDRESS,
    options: Vec::new(),
};
const REFUSED: Told = Told {
    to: Mac::BROADCAST,
    dst: EVERYBODY,
    flags: 0,
    ciaddr: NOBODY,
    yiaddr: NOBODY,
    options: Vec::new(),
};

#[test]
fn every_state_of_a_client() {
    let nak = "36040a000001 3824 7468652061646472657373206f662074686973206e6f64652069732031302e302e302e32";
    let needed = "0104ffffff00 03040a000001 1a0205c0";
    let granted = Effect::Granted { seconds: 3600 };
    let refused = Effect::Refused {
        asked: Vaddr(0x0a00_0007),
    };
    let other = Vaddr(0x0a00_0007);
    let rebinding = |address| Ask {
        to: Mac::BROADCAST,
        dst: EVERYBODY,
        ..Ask::unicast(address, "350103 370101")
    };
    let cases = [
        (
            "init",
            Ask::new("350101 370101"),
            Effect::Offered,
            NEW,
            format!("350102 {GIVEN} {needed}"),
        ),
        // Which address it hopes for is no matter.
        (
            "init, with a wish",
            Ask::new("350101 32040a000007 370101"),
            Effect::Offered,
            NEW,
            format!("350102 {GIVEN} {needed}"),
        ),
        (
            "selecting",
            Ask::new("350103 36040a000001 32040a000002 370101"),
            granted.clone(),
            NEW,
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "selecting another address",
            Ask::new("350103 36040a000001 32040a000007 370101"),
            refused.clone(),
            REFUSED,
            format!("350106 {nak}"),
        ),
        (
            "rebooting",
            Ask::new("350103 32040a000002 370101"),
            granted.clone(),
            NEW,
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "rebooting elsewhere",
            Ask::new("350103 32040a000007 370101"),
            refused.clone(),
            REFUSED,
            format!("350106 {nak}"),
        ),
        (
            "renewing",
            Ask::unicast(A_ADDRESS, "350103 370101"),
            granted.clone(),
            USED,
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "renewing, naming the server",
            Ask::unicast(A_ADDRESS, "350103 36040a000001 370101"),
            granted.clone(),
            USED,
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "rebinding",
            rebinding(A_ADDRESS),
            granted.clone(),
            USED,
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "rebinding another address",
            rebinding(other),
            refused.clone(),
            REFUSED,
            format!("350106 {nak}"),
        ),
        (
            "configured by hand",
            Ask::unicast(A_ADDRESS, "350108 370101"),
            Effect::Informed,
            Told {
                yiaddr: NOBODY,
                ..USED
            },
            format!("350105 36040a000001 {needed}"),
        ),
        (
            "configured by hand, to all",
            Ask {
                to: Mac::BROADCAST,
                dst: EVERYBODY,
                ..Ask::unicast(A_ADDRESS, "350108 370101")
            },
            Effect::Informed,
            Told {
                yiaddr: NOBODY,
                ..USED
            },
            format!("350105 36040a000001 {needed}"),
        ),
        // One that cannot take a unicast yet.
        (
            "init, deaf",
            Ask {
                flags: 0x8000,
                ..Ask::new("350101 370101")
            },
            Effect::Offered,
            Told {
                to: Mac::BROADCAST,
                dst: EVERYBODY,
                flags: 0x8000,
                ..NEW
            },
            format!("350102 {GIVEN} {needed}"),
        ),
        (
            "renewing, deaf",
            Ask {
                flags: 0x8000,
                ..Ask::unicast(A_ADDRESS, "350103 370101")
            },
            granted,
            Told {
                flags: 0x8000,
                ..USED
            },
            format!("350105 {GIVEN} {needed}"),
        ),
        (
            "rebooting elsewhere, deaf",
            Ask {
                flags: 0x8000,
                ..Ask::new("350103 32040a000007")
            },
            refused,
            Told {
                flags: 0x8000,
                ..REFUSED
            },
            format!("350106 {nak}"),
        ),
    ];
    for (state, ask, effect, expected, options) in cases {
        let answer = ask
            .answer()
            .unwrap_or_else(|why| panic!("{state}: {why:?}"));
        assert_eq!(answer.effect, effect, "{state}");
        let expected = Told {
            options: hex(&options),
            ..expected
        };
        assert_eq!(told(&answer), expected, "{state}");
    }
}

#[test]
fn declining_and_releasing_are_not_answered() {
    for (options, effect) in [
        ("350104 36040a000001 32040a000002", Effect::Declined),
        ("350104 32040a000002", Effect::Declined),
    ] {
        let answer = Ask::new(options).answer().unwrap();
        assert_eq!((answer.effect, answer.reply), (effect, None), "{options}");
    }
    for ask in [
        Ask::unicast(A_ADDRESS, "350107 36040a000001"),
        Ask::unicast(A_ADDRESS, "350107"),
    ] {
        let answer = ask.answer().unwrap();
        assert_eq!((answer.effect, answer.reply), (Effect::Released, None));
    }
}

#[test]
fn tags_come_back() {
    let tagged = Ask {
        vlan: Some(100),
        ..Ask::new("350101")
    };
    let client = Client {
        vlan: Some(100),
        mac: None,
    };
    let (_, frame) = answer(&tagged.frame(), &client, &terms())
        .unwrap()
        .reply
        .unwrap();
    assert_eq!(frame[..18], hex("02000000000a 725b0a000001 81000064 0800"));
    let (_, plain) = Ask::new("350101").answer().unwrap().reply.unwrap();
    assert_eq!(frame[18..], plain[14..]);
}
