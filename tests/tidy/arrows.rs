//! Which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The arrows between our crates, by the names of their folders. What is not here may not be.
pub(crate) const ARROWS: &[(&str, &[&str])] = &[
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

/// What a crate must not reach, however far away: what it must not know.
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

/// An arrow from one crate to another, both by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
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
        .unwrap_or_else(|error| panic!("cargo metadata does not answer: {error}"))
}

/// The folder's name of one of our crates, as the table of arrows has it.
fn role(package: &str) -> &str {
    package.strip_prefix("impresario-").unwrap_or(package)
}

/// The arrows that leave our crates, to ours and to others'.
pub(crate) fn direct(metadata: &Metadata) -> Vec<Arrow> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let name = |package: &str| {
        if ours.contains(package) { role(package).to_owned() } else { format!("{package} (external)") }
    };
    let mut arrows = Vec::new();
    for package in &packages {
        for dependency in &package.dependencies {
            let in_tests_only = dependency.kind == DependencyKind::Development;
            arrows.push(Arrow { from: name(&package.name), to: name(&dependency.name), in_tests_only });
        }
    }
    arrows
}

/// Arrows between our crates that are not in the table, and crates that are not in it.
pub(crate) fn wrong(arrows: &[Arrow], crates: &[&str], table: &[(&str, &[&str])]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
    let mut failures = Vec::new();
    for name in crates {
        if !allowed.contains_key(name) {
            failures.push(format!(
                "{name} is a crate without a row in the table of arrows: give it one, with its reasons"
            ));
        }
    }
    for Arrow { from, to, in_tests_only } in arrows.iter().filter(|arrow| crates.contains(&arrow.to.as_str()))
    {
        let row = allowed.get(from.as_str()).copied().unwrap_or_default();
        let allowed = row.contains(&to.as_str()) || (*in_tests_only && to == "testkit");
        if !allowed {
            failures.push(format!("{from} depends on {to}, which the table of arrows does not allow: turn it round or move the code"));
        }
    }
    failures
}

/// All that each crate of ours reaches outside tests, by names, itself excepted.
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
    packages.iter().map(|package| (role(&package.name).to_owned(), from(&package.id))).collect()
}

/// What crates reach although they must not know it.
pub(crate) fn too_far(
    reached: &BTreeMap<String, BTreeSet<String>>,
    table: &[(&str, &[&str])],
) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, forbidden) in table {
        let Some(all) = reached.get(*name) else {
            failures.push(format!(
                "there is no crate {name}: take its row out of the table of what is out of reach"
            ));
            continue;
        };
        for other in forbidden.iter().filter(|other| all.contains(**other)) {
            failures.push(format!("{name} reaches {other}, which it must not know: see `cargo tree -p impresario-{name} -i {other}`"));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str, in_tests_only: bool) -> Arrow {
        Arrow { from: from.to_owned(), to: to.to_owned(), in_tests_only }
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        let crates = ["actor", "supervision", "testkit"];
        let table: &[(&str, &[&str])] =
            &[("actor", &["supervision"]), ("supervision", &[]), ("testkit", &[])];
        let good = [
            arrow("actor", "supervision", false),
            arrow("supervision", "testkit", true),
            arrow("actor", "x", false),
        ];
        assert!(wrong(&good, &crates, table).is_empty());
        assert_eq!(wrong(&[arrow("supervision", "actor", false)], &crates, table).len(), 1);
        assert_eq!(
            wrong(&[arrow("supervision", "actor", true)], &crates, table).len(),
            1,
            "tests follow the arrows too"
        );
        assert_eq!(wrong(&[arrow("actor", "testkit", false)], &crates, table).len(), 1);
        assert_eq!(wrong(&[], &["new"], table).len(), 1);
    }

    #[test]
    fn what_is_out_of_reach_is_found_however_far_away() {
        let reached =
            BTreeMap::from([("process".to_owned(), BTreeSet::from(["nix".to_owned(), "tokio".to_owned()]))]);
        assert!(too_far(&reached, &[("process", &["actix"])]).is_empty());
        assert_eq!(too_far(&reached, &[("process", &["actix", "tokio"])]).len(), 1);
        assert_eq!(too_far(&reached, &[("gone", &[])]).len(), 1);
    }
}
