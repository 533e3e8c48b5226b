//! The description of what is served: whole in itself, true of every route and of every error.

mod answers;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use synckairos::http::resources;

use test_support::server::Server;

use self::schema::{faults, resolve};

const PROBLEMS: &str = include_str!("../../src/problem.rs");

/// The description as it is served.
async fn served(server: &Server) -> Value {
    let answer = server.connect().await.ask("GET", "/api-docs.json", "").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    answer.json()
}

fn object(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().expect("an object").iter()
}

/// Method, path and operation of everything that can be asked for.
fn operations(document: &Value) -> impl Iterator<Item = (String, &String, &Value)> {
    object(&document["paths"]).flat_map(|(path, item)| {
        object(item)
            .filter(|(name, _)| *name != "parameters")
            .map(move |(method, operation)| (method.to_uppercase(), path, operation))
    })
}

/// Every value of a `$ref`, wherever it is.
fn references<'d>(node: &'d Value, found: &mut BTreeSet<&'d str>) {
    if let Some(target) = node["$ref"].as_str() {
        found.insert(target);
    }
    for child in node.as_object().into_iter().flat_map(|members| members.values()) {
        references(child, found);
    }
    for child in node.as_array().into_iter().flatten() {
        references(child, found);
    }
}

#[tokio::test]
async fn is_whole_in_itself() {
    let document = served(&Server::start().await).await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));

    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let mut defined = BTreeSet::new();
    // Those are named where they are used, and not referred to.
    for (kind, all) in object(&document["components"]).filter(|(kind, _)| *kind != "securitySchemes") {
        defined.extend(object(all).map(|(name, _)| format!("#/components/{kind}/{name}")));
    }
    assert_eq!(
        used,
        defined.iter().map(String::as_str).collect(),
        "all that is used is there, all that is there is used"
    );

    let tags: BTreeSet<_> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| &tag["name"])
        .collect::<Vec<_>>()
        .into_iter()
        .map(Value::to_string)
        .collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{what}");
        assert!(ids.insert(operation["operationId"].as_str().expect("an id")), "{what}");
        assert!(
            operation["tags"].as_array().expect("tags").iter().all(|tag| tags.contains(&tag.to_string())),
            "{what}"
        );
        assert!(object(&operation["responses"]).any(|(status, _)| status < &"4".to_owned()), "{what} can succeed");
        for (status, response) in object(&operation["responses"]) {
            let response = resolve(&document, response);
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{what} {status}");
        }
        let mut schemes = operation["security"].as_array().into_iter().flatten().flat_map(object);
        let is_known = |(name, _): (&String, &Value)| !document["components"]["securitySchemes"][name].is_null();
        assert!(operation["security"].is_array() && schemes.all(is_known), "{what} says who may");
        let named = document["paths"][path]["parameters"].as_array().into_iter().flatten();
        let named: Vec<_> = named.map(|parameter| resolve(&document, parameter)["name"].as_str()).collect();
        assert_eq!(named, if path.contains("{id}") { vec![Some("id")] } else { vec![] }, "{what}");
    }
}

#[tokio::test]
async fn lists_every_route_and_nothing_else() {
    let document = served(&Server::start().await).await;
    let mut described = BTreeMap::<_, BTreeSet<_>>::new();
    for (method, path, _) in operations(&document) {
        described.entry(path.clone()).or_default().insert(method);
    }
    let allowed = |allow: String| allow.split(", ").map(str::to_owned).collect();
    let served = resources().map(|resource| (resource.template().to_owned(), allowed(resource.allow())));
    assert_eq!(described, served.collect());
}

/// Status and code of every error that the table of problems has.
fn problems() -> BTreeSet<(String, String)> {
    let calls = PROBLEMS.split("Self::new(").skip(1);
    let parts = calls.map(|call| call.splitn(3, ", ").map(|part| part.trim_matches('"').to_owned()));
    let found: BTreeSet<_> =
        parts.map(|mut parts| (parts.next().expect("a status"), parts.next().expect("a code"))).collect();
    assert!(found.contains(&("404".to_owned(), "SESSION_NOT_FOUND".to_owned())), "{found:?}");
    found
}

#[tokio::test]
async fn names_every_error_with_its_status_and_no_other() {
    let document = served(&Server::start().await).await;
    let mut described = BTreeSet::new();
    for (_, _, operation) in operations(&document) {
        for (status, response) in object(&operation["responses"]) {
            let text = resolve(&document, response)["description"].as_str().expect("a description");
            described.extend(codes_in(text).map(|(_, code)| (status.to_owned(), code.to_owned())));
        }
    }
    // What a request meets that leads to no operation.
    let text = document["info"]["description"].as_str().expect("a description");
    let with_status = codes_in(text).filter(|(status, _)| status.parse::<u16>().is_ok());
    described.extend(with_status.map(|(status, code)| (status.to_owned(), code.to_owned())));
    assert_eq!(described, problems());
    let in_schemas: BTreeSet<_> = codes(&document).into_iter().collect();
    assert_eq!(in_schemas, problems().into_iter().map(|(_, code)| code).collect());
}

/// Every code that a text names, with the word before it.
fn codes_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts: Vec<_> = text.split('`').collect();
    let is_code = |part: &str| part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let codes = (1..parts.len()).step_by(2).filter(move |n| is_code(parts[*n]) && !parts[*n].is_empty());
    let parts: Vec<_> = text.split('`').collect();
    codes.map(move |n| (parts[n - 1].trim().rsplit(' ').next().unwrap_or_default(), parts[n]))
}

/// No status is left open.
#[tokio::test]
async fn says_every_status() {
    let document = served(&Server::start().await).await;
    for (method, path, operation) in operations(&document) {
        let statuses: Vec<_> = object(&operation["responses"]).map(|(status, _)| status.as_str()).collect();
        for status in ["400", "408", "413", "415", "431", "500"] {
            assert!(statuses.contains(&status), "{method} {path} {status}");
        }
        assert!(statuses.iter().all(|status| status.parse::<u16>().is_ok()), "{method} {path}: {statuses:?}");
        if method == "HEAD" {
            let of_get = object(&document["paths"][path]["get"]["responses"]);
            assert_eq!(statuses, of_get.map(|(status, _)| status.as_str()).collect::<Vec<_>>(), "{path}");
        }
    }
}

/// The codes that an error's schema allows.
fn codes(document: &Value) -> Vec<String> {
    let kinds = document["components"]["schemas"]["Error"]["oneOf"].as_array().expect("kinds of errors");
    let codes = kinds.iter().flat_map(|kind| {
        let code = &resolve(document, kind)["properties"]["code"];
        code["enum"].as_array().cloned().unwrap_or_else(|| vec![code["const"].clone()])
    });
    codes.map(|code| code.as_str().expect("a code").to_owned()).collect()
}

#[tokio::test]
async fn gives_examples_that_fit() {
    let document = served(&Server::start().await).await;
    let mut examples = 0;
    for (name, schema) in object(&document["components"]["schemas"]) {
        for example in schema["examples"].as_array().into_iter().flatten() {
            let faults = faults(&document, schema, example);
            assert!(faults.is_empty(), "{name}: {faults:?}");
            examples += 1;
        }
    }
    assert!(examples > 5, "there are examples");
}

#[tokio::test]
async fn is_a_page_that_needs_nothing_else() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let answer = http.ask("GET", "/api-docs", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let page = &answer.body;
    let (_, without_scripts) = page.split_once("<noscript>").expect("something for those without scripts");
    let (without_scripts, _) = without_scripts.split_once("</noscript>").expect("an end");
    assert!(without_scripts.contains(r#"href="api-docs.json""#));
    for foreign in ["http://", "https://", " src=", "url(", "@import", "import "] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for path in ["/api-docs", "/api-docs.json"] {
        let (get, head) = (http.ask("GET", path, "").await, http.ask("HEAD", path, "").await);
        assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")), "{path}");
    }
}
