#!/bin/sh
# Builds all fuzz targets and runs each for some seconds (default 5): fuzz/run.sh [SECONDS [TARGET...]]
#
# libFuzzer needs counters in the code, which is a pass of LLVM that the stable compiler has; so neither a nightly
# compiler nor cargo-fuzz is needed. Inputs that were found interesting stay in fuzz/target/corpus and are used by
# the next run; an input that fails is kept in fuzz/artifacts and can be run again by naming it to its binary.
set -eu
cd "$(dirname "$0")"

seconds=${1:-5}
[ $# -eq 0 ] || shift
host=$(rustc -vV | sed -n 's/^host: //p')
# Without --target these flags would reach build scripts, which have no fuzzer to link to.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    CARGO_TARGET_DIR=target cargo build --locked --release --target "$host" --bins

# Targets that need files write them here.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
passed=0
failed=0
for target; do
    mkdir -p "target/corpus/$target" "artifacts/$target" target/logs
    log=target/logs/$target
    if "target/$host/release/$target" "target/corpus/$target" "corpus/$target" \
        -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$target/" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "$target: $(tail -n 1 "$log")"
    else
        failed=$((failed + 1))
        echo "$target: FAILED"
        tail -n 40 "$log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
