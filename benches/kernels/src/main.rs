//! The kernels of the hot path, without sockets: what a publication costs from the hub to the writers' buffers.
//!
//! Timings on a shared machine say little, so most of what is measured here is counted. How often a publication is
//! encoded and how often a delivery allocates are tests. How many instructions a kernel takes is counted under
//! callgrind (`benches/bench/kernels.py`). Without an argument all counts and the
//! time of a delivery are printed as one line of JSON; with the name of a kernel, that kernel runs [`ROUNDS`] times.

#![allow(clippy::print_stdout, reason = "what this program finds is what it prints")]

mod counting;
mod crowd;
mod kernels;

use std::process::ExitCode;

use counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        println!("{}", kernels::report());
        return ExitCode::SUCCESS;
    };
    let Some((_, run)) = kernels::KERNELS.iter().find(|(known, _)| *known == name) else {
        eprintln!("no kernel {name}");
        return ExitCode::FAILURE;
    };
    run(kernels::ROUNDS);
    ExitCode::SUCCESS
}
