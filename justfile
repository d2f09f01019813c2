# Shortcuts for cargo commands; nothing here is needed to build or test.

# List the recipes.
default:
    @just --list

# Run the HTTP server (the README's first command).
http *ARGS:
    cargo run --release --example http -- {{ARGS}}

# Run the echo server (--tls, --arbiters N, --max-connections N).
echo *ARGS:
    cargo run --release --example echo -- {{ARGS}}

# Run a tree to experiment with: type `help`.
tree:
    cargo run --example tree

# Run actors as children, with orders.
actors *ORDERS="tea boom coffee":
    cargo run --example actors -- {{ORDERS}}

# Run the chat.
chat *ARGS:
    cargo run --release --example chat -- {{ARGS}}

# Run a listener with an admin interface on a unix socket.
listeners *ARGS:
    cargo run --release --example listeners -- {{ARGS}}

# Run a server that transfers connections from actor to actor.
ownership *ARGS:
    cargo run --release --example ownership -- {{ARGS}}

# Run a TLS echo server with a certificate that is reloaded at run time.
tls *ARGS:
    cargo run --release --example tls -- {{ARGS}}

# Run processes without actors.
processes:
    cargo run --example processes

# Run all tests (the README's second command).
test:
    cargo test --workspace

# Run everything that CI checks.
ci:
    bash .ci/run

# Check format, lints and documentation.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Model-check what threads share of an actor cell, with a preemption bound of 2 (also part of the tests).
loom:
    cargo test -p impresario-actor --test loom

# Measure Impresario and a peer in the same run.
bench *ROWS:
    cargo run --release -p impresario-bench -- {{ROWS}}

# Build the book into docs/book/book (needs mdbook).
book:
    mdbook build docs/book

# Check licences, advisories and duplicate versions (needs cargo-deny).
deny:
    cargo deny check

# Mutation tests of the rules (needs cargo-mutants; crates/supervision/MUTANTS.md lists the accepted mutants).
mutants *ARGS:
    PROPTEST_CASES=32 cargo mutants --package impresario-supervision --timeout 60 {{ARGS}}
