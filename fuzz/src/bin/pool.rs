#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "every target has the file")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::pool::pool(data));
