//! What `scripts/test instructions` counts the instructions of: the cases of the
//! benchmark `walk`, as a program like any other. A benchmark unwinds when it
//! panics and weft does not, which makes other code and another build of it all.

#[path = "../benches/walk.rs"]
mod walk;

fn main() {
    walk::main();
}
