# Everything here is a convenience on top of cargo.

# List the recipes.
default:
    @just --list

# Run the HTTP server (the README's first command).
http *ARGS:
    cargo run --release --example http -- {{ARGS}}

# Run the echo server (--tls, --arbiters N, --max-connections N).
echo *ARGS:
    cargo run --release --example echo -- {{ARGS}}

# Run a tree to shoot at, by commands.
tree:
    cargo run --example tree

# Run actors as children; order something.
actors *ORDERS="tea boom coffee":
    cargo run --example actors -- {{ORDERS}}

# Run the chat.
chat *ARGS:
    cargo run --release --example chat -- {{ARGS}}

# Run a listener that is asked and drained over a unix socket.
listeners *ARGS:
    cargo run --release --example listeners -- {{ARGS}}

# Run a server that gives its connections from actor to actor.
ownership *ARGS:
    cargo run --release --example ownership -- {{ARGS}}

# Run an encrypted echo with a certificate that is exchanged while it runs.
tls *ARGS:
    cargo run --release --example tls -- {{ARGS}}

# Run processes alone, without actors.
processes:
    cargo run --example processes

# Run all tests (the README's second command).
test:
    cargo test --workspace

# Everything that CI checks.
ci:
    bash .ci/run

# Format, lint and document.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Every interleaving of what threads do with one life (a part of the tests, too).
loom:
    cargo test -p impresario-actor --test loom

# Measure us and a peer in the same run.
bench *ROWS:
    cargo run --release -p impresario-bench -- {{ROWS}}

# The book, at docs/book/book (needs mdbook).
book:
    mdbook build docs/book

# Licences, advisories and duplicate versions (needs cargo-deny).
deny:
    cargo deny check

# Whether a test notices each change of the rules (needs cargo-mutants; crates/supervision/MUTANTS.md has the accepted ones).
mutants *ARGS:
    PROPTEST_CASES=32 cargo mutants --package impresario-supervision --timeout 60 {{ARGS}}
