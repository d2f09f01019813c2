//! Which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The dependencies between crates of the workspace, by the names of their folders. All others are errors.
pub(crate) const ALLOWED: &[(&str, &[&str])] = &[
    ("supervision", &[]),
    ("wire", &[]),
    ("sys", &[]),
    ("actor", &["supervision"]),
    ("server", &["actor", "supervision", "sys"]),
    ("process", &["supervision", "sys", "wire"]),
    ("port", &["actor", "sys", "wire"]),
    ("http", &["actor", "port", "server"]),
    ("impresario", &["actor", "http", "port", "process", "server", "supervision", "sys", "wire"]),
    ("testkit", &["actor", "supervision"]),
    ("bench", &["impresario", "supervision"]),
    ("examples", &["impresario"]),
    ("tests", &["testkit"]),
];

/// What a crate must not depend on, directly or through other crates.
pub(crate) const UNREACHABLE: &[(&str, &[&str])] = &[
    ("wire", &["actix", "actix-rt", "mio", "nix", "rustix", "slog", "socket2", "tokio"]),
    ("sys", &["actix", "actix-rt", "hyper", "mio", "slog", "tokio"]),
    ("actor", &["axum", "http", "hyper", "nix"]),
    ("server", &["axum", "bincode", "http", "hyper"]),
    ("process", &["actix", "actix-rt", "axum", "futures", "http", "hyper", "mio", "tokio"]),
    ("port", &["axum", "http", "hyper"]),
    ("http", &["axum"]),
    ("impresario", &["axum", "clap"]),
];

/// A dependency of one crate on another, both by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) in_tests_only: bool,
}

/// The workspace as cargo sees it on this platform.
pub(crate) fn metadata(root: &str) -> Metadata {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .manifest_path(format!("{root}/Cargo.toml"))
        .other_options(["--offline".to_owned(), "--filter-platform".to_owned(), platform])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata failed: {error}"))
}

/// The name of a package's folder, as the tables have it.
fn folder(package: &str) -> &str {
    package.strip_prefix("impresario-").unwrap_or(package)
}

/// The dependencies of the workspace's crates, also on external ones.
pub(crate) fn direct(metadata: &Metadata) -> Vec<Dependency> {
    let packages = metadata.workspace_packages();
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let name = |package: &str| {
        if members.contains(package) { folder(package).to_owned() } else { format!("{package} (external)") }
    };
    let mut dependencies = Vec::new();
    for package in &packages {
        for dependency in &package.dependencies {
            let in_tests_only = dependency.kind == DependencyKind::Development;
            dependencies.push(Dependency {
                from: name(&package.name),
                to: name(&dependency.name),
                in_tests_only,
            });
        }
    }
    dependencies
}

/// Dependencies between members that are not in the table, and members without a row.
pub(crate) fn disallowed(
    dependencies: &[Dependency],
    crates: &[&str],
    table: &[(&str, &[&str])],
) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
    let mut failures = Vec::new();
    for name in crates {
        if !allowed.contains_key(name) {
            failures.push(format!("{name} is a crate without a row in the table of dependencies: add one"));
        }
    }
    for Dependency { from, to, in_tests_only } in
        dependencies.iter().filter(|dependency| crates.contains(&dependency.to.as_str()))
    {
        let row = allowed.get(from.as_str()).copied().unwrap_or_default();
        let allowed = row.contains(&to.as_str()) || (*in_tests_only && to == "testkit");
        if !allowed {
            failures.push(format!("{from} depends on {to}, which the table of dependencies does not allow: invert it or move the code"));
        }
    }
    failures
}

/// The crates that each member depends on outside tests, directly or through others.
pub(crate) fn reachable(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let nodes = metadata.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = nodes
        .iter()
        .map(|node| {
            let in_product = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            (&node.id, in_product.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    let from = |start: &PackageId| {
        let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
        let mut open: Vec<&PackageId> = edges.get(start).cloned().unwrap_or_default();
        while let Some(package) = open.pop() {
            if seen.insert(package) {
                open.extend(edges.get(package).into_iter().flatten());
            }
        }
        seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
    };
    let packages = metadata.workspace_packages();
    packages.iter().map(|package| (folder(&package.name).to_owned(), from(&package.id))).collect()
}

/// Forbidden crates that members depend on, directly or through others.
pub(crate) fn forbidden(
    reached: &BTreeMap<String, BTreeSet<String>>,
    table: &[(&str, &[&str])],
) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, forbidden) in table {
        let Some(all) = reached.get(*name) else {
            failures.push(format!("there is no crate {name}: remove its row from UNREACHABLE"));
            continue;
        };
        for other in forbidden.iter().filter(|other| all.contains(**other)) {
            failures.push(format!("{name} depends on {other}, which it must not know: see `cargo tree -p impresario-{name} -i {other}`"));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(from: &str, to: &str, in_tests_only: bool) -> Dependency {
        Dependency { from: from.to_owned(), to: to.to_owned(), in_tests_only }
    }

    #[test]
    fn a_dependency_outside_the_table_is_found() {
        let crates = ["actor", "supervision", "testkit"];
        let table: &[(&str, &[&str])] =
            &[("actor", &["supervision"]), ("supervision", &[]), ("testkit", &[])];
        let good = [
            dependency("actor", "supervision", false),
            dependency("supervision", "testkit", true),
            dependency("actor", "x", false),
        ];
        assert!(disallowed(&good, &crates, table).is_empty());
        assert_eq!(disallowed(&[dependency("supervision", "actor", false)], &crates, table).len(), 1);
        assert_eq!(
            disallowed(&[dependency("supervision", "actor", true)], &crates, table).len(),
            1,
            "the table holds for dev-dependencies too"
        );
        assert_eq!(disallowed(&[dependency("actor", "testkit", false)], &crates, table).len(), 1);
        assert_eq!(disallowed(&[], &["new"], table).len(), 1);
    }

    #[test]
    fn a_forbidden_transitive_dependency_is_found() {
        let reached =
            BTreeMap::from([("process".to_owned(), BTreeSet::from(["nix".to_owned(), "tokio".to_owned()]))]);
        assert!(forbidden(&reached, &[("process", &["actix"])]).is_empty());
        assert_eq!(forbidden(&reached, &[("process", &["actix", "tokio"])]).len(), 1);
        assert_eq!(forbidden(&reached, &[("gone", &[])]).len(), 1);
    }
}
