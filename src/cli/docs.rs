//! `docs/cli.md`: the help texts of all commands, one after the other.

use clap::{Command, CommandFactory};

const HEAD: &str = "\
# Command line of `weft`

`weft run` is the appliance. `weft check` looks at a configuration file. All
other commands are clients of a running appliance's control socket; each is one
method of the protocol (`docs/control-protocol.md`), named at the foot of its
help.

- `--socket PATH` or `WEFT_SOCKET` names the socket; the default is
  `/run/weft/weft.sock`.
- `--json` prints one JSON object, or for lists, events and live tables one
  object a line. Without it there are tables, in colour only on a terminal and
  when `NO_COLOR` is not set.
- Exit codes: 0 done; 1 refused by the appliance, or a file cannot be read or
  written; 2 wrong usage; 3 the appliance cannot be reached. Errors are one line
  on standard error.
- An output that nobody reads any more (`| head`) ends a command quietly.

## Captures

`weft capture` writes pcapng. A packet is one record of up to two frames: as it
was received, and as it was sent. Each frame is an Enhanced Packet Block on an
interface of its own, `PORT received` or `PORT sent`, with the direction in
`epb_flags`. The frames of a record have the same `epb_packetid`, and comments
with the record's number, what became of the packet (the name of the drop, if
it was dropped) and what each stage decided:

```text
record 7 before: sent; parse: icmp; classify: remote; authorize: ok; …
```

In Wireshark, `frame.packet_id == 7` shows both sides of record 7, and
`frame.comment contains \"dropped\"` what was lost. Times are those of the
machine the command runs on, as far as it knows when the appliance started.

This file is written by `WEFT_BLESS=1 cargo test --test cli manual`; do not
edit it.
";

/// The manual as Markdown.
pub fn markdown() -> String {
    let mut root = super::Cli::command().term_width(100);
    // Gives every command its full name in the usage line.
    root.build();
    let mut text = HEAD.to_owned();
    section(&mut root, "weft", &mut text);
    text
}

fn section(command: &mut Command, name: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    *text += &format!(
        "\n## `{name}`\n\n```text\n{}\n```\n",
        lines.join("\n").trim()
    );
    for sub in command.get_subcommands_mut() {
        // clap adds `help` to every level; it is no command of ours.
        if sub.get_name() != "help" {
            let name = format!("{name} {}", sub.get_name());
            section(sub, &name, text);
        }
    }
}
