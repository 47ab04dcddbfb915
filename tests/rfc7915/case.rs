//! A case: what the relay is like, what it is given, and what must come of it.

use super::bytes::Packet;

/// One file.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) title: Vec<String>,
    /// Ids of requirements.
    pub(super) covers: Vec<String>,
    /// Keys of the relay, as TOML.
    pub(super) set: Vec<String>,
    pub(super) unset: Vec<String>,
    pub(super) exchanges: Vec<Exchange>,
}

/// A packet and all that comes of it, in order.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) input: Packet,
    pub(super) outputs: Vec<Packet>,
    /// Why it is dropped.
    pub(super) drop: Option<String>,
    /// What its sender is told.
    pub(super) reply: Option<Packet>,
}

/// Where lines of bytes go.
enum Place {
    Head,
    Input,
    Output,
    Reply,
    Drop,
}

impl Case {
    pub(super) fn parse(name: &str, text: &str) -> Result<Case, String> {
        let mut case = Case {
            name: name.to_owned(),
            ..Case::default()
        };
        let mut place = Place::Head;
        for (number, line) in text.lines().enumerate() {
            case.line(&mut place, line)
                .map_err(|problem| format!("line {}: {problem}", number + 1))?;
        }
        case.check()?;
        Ok(case)
    }

    fn line(&mut self, place: &mut Place, line: &str) -> Result<(), String> {
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with(' ') {
            return self.bytes(place, line);
        }
        if let Some(title) = line.strip_prefix("# ") {
            self.title.push(title.to_owned());
            return Ok(());
        }
        if let Some((key, value)) = line.split_once(": ") {
            match key {
                "covers" => self.covers.extend(value.split(' ').map(str::to_owned)),
                "set" => self.set.push(value.to_owned()),
                "unset" => self.unset.push(value.to_owned()),
                _ => return Err(format!("`{key}` is no key")),
            }
            return Ok(());
        }
        let words: Vec<&str> = line.split(' ').collect();
        let version = |word| match word {
            "ipv4" => Ok(4),
            "ipv6" => Ok(6),
            _ => Err(format!("`{word}` is neither ipv4 nor ipv6")),
        };
        match words[..] {
            ["in", family] => {
                *place = Place::Input;
                self.exchanges.push(Exchange {
                    input: Packet::new(version(family)?),
                    outputs: Vec::new(),
                    drop: None,
                    reply: None,
                });
            }
            ["out", family] => {
                *place = Place::Output;
                self.last()?.outputs.push(Packet::new(version(family)?));
            }
            ["reply", family] => {
                *place = Place::Reply;
                self.last()?.reply = Some(Packet::new(version(family)?));
            }
            ["drop", why] => {
                *place = Place::Drop;
                self.last()?.drop = Some(why.to_owned());
            }
            _ => return Err(format!("`{line}` means nothing")),
        }
        Ok(())
    }

    fn last(&mut self) -> Result<&mut Exchange, String> {
        self.exchanges
            .last_mut()
            .ok_or("nothing came in".to_owned())
    }

    fn bytes(&mut self, place: &Place, line: &str) -> Result<(), String> {
        let exchange = self.last()?;
        let packet = match place {
            Place::Input => Some(&mut exchange.input),
            Place::Output => exchange.outputs.last_mut(),
            Place::Reply => exchange.reply.as_mut(),
            Place::Head | Place::Drop => None,
        };
        packet.ok_or("bytes of nothing")?.add(line)
    }

    /// Complete, and no contradiction.
    fn check(&self) -> Result<(), String> {
        if self.title.is_empty() || self.covers.is_empty() || self.exchanges.is_empty() {
            return Err("a title, `covers:` and `in` are needed".to_owned());
        }
        for exchange in &self.exchanges {
            let Exchange {
                input,
                outputs,
                drop,
                reply,
            } = exchange;
            if outputs.is_empty() != drop.is_some() {
                return Err("either `out` or `drop`".to_owned());
            }
            if input.mask.iter().any(|&mask| mask != 0xff) {
                return Err("what comes in is known in full".to_owned());
            }
            if reply
                .as_ref()
                .is_some_and(|reply| drop.is_none() || reply.version != input.version)
            {
                return Err("a reply is about a drop, in the family of what came in".to_owned());
            }
        }
        Ok(())
    }
}
