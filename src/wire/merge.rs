//! A JSON Merge Patch (RFC 7396) carried out: each side is taken apart once, and both are gone through once. Does not
//! know what is merged.

use std::collections::HashMap;
use std::ops::Range;

use super::compact::{MEMBERS_FEW, string_len};
use super::write::Write;

/// How deep objects are looked into; what is deeper is a value like any other.
const DEPTH_MAX: usize = 128;

/// The objects in compact JSON that is an object, and in which names are unique. What is in an array is not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    text: Box<str>,
    /// Each before what is in it; the first is the whole, and has no name.
    members: Box<[TreeMember]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TreeMember {
    name: Range<usize>,
    value: Range<usize>,
    is_object: bool,
    /// Where the members end that are in it.
    end: usize,
}

impl Tree {
    /// The objects in `text`.
    pub(super) fn read(text: String) -> Self {
        let mut members = vec![TreeMember { name: 0..0, value: 0..text.len(), is_object: true, end: 0 }];
        object(text.as_bytes(), 0, DEPTH_MAX, &mut members);
        members[0].end = members.len();
        Self { text: text.into(), members: members.into() }
    }

    /// The whole.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The members of the object that the member at `position` is.
    fn inside(&self, position: usize) -> impl Iterator<Item = usize> {
        let (mut next, end) = (position + 1, self.members[position].end);
        std::iter::from_fn(move || {
            let member = (next < end).then_some(next)?;
            next = self.members[member].end;
            Some(member)
        })
    }

    fn name(&self, position: usize) -> &str {
        &self.text[self.members[position].name.clone()]
    }

    fn value(&self, position: usize) -> &str {
        &self.text[self.members[position].value.clone()]
    }
}

/// Lists the members of the object that begins at `at`; returns where it ends.
fn object(json: &[u8], at: usize, depth_left: usize, members: &mut Vec<TreeMember>) -> usize {
    let mut at = at + 1;
    while json.get(at) == Some(&b'"') {
        let name = at..at + string_len(&json[at..]);
        let begin = name.end + 1;
        let is_object = json.get(begin) == Some(&b'{') && depth_left > 0;
        let position = members.len();
        members.push(TreeMember { name, value: begin..begin, is_object, end: 0 });
        let end = if is_object { object(json, begin, depth_left - 1, members) } else { value_end(json, begin) };
        let count = members.len();
        let member = &mut members[position];
        (member.value.end, member.end) = (end, count);
        at = end + usize::from(json.get(end) == Some(&b','));
    }
    at + 1
}

/// Where the value that begins at `at` ends.
fn value_end(json: &[u8], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => {
                at += string_len(&json[at..]);
                continue;
            }
            b'{' | b'[' => open += 1,
            b',' | b'}' | b']' if open == 0 => return at,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// What `patch` makes of `target`.
pub(super) fn merge(target: &Tree, patch: &Tree) -> String {
    let mut out = Vec::with_capacity(target.text.len() + patch.text.len());
    merge_object(Some((target, 0)), (patch, 0), &mut out);
    String::from_utf8(out).expect("texts make a text")
}

/// Goes as deep as the patch.
fn merge_object(target: Option<(&Tree, usize)>, (patch, position): (&Tree, usize), out: &mut Vec<u8>) {
    let changes = Names::of(patch, position);
    let old = target.map(|(tree, position)| Names::of(tree, position));
    out.push(b'{');
    for (tree, member) in
        target.iter().flat_map(|&(tree, position)| tree.inside(position).map(move |member| (tree, member)))
    {
        match changes.find(tree.name(member)) {
            Some(change) => merge_member(Some((tree, member)), (patch, change), out),
            None => write(tree.name(member), tree.value(member), out),
        }
    }
    for change in patch.inside(position) {
        if old.as_ref().is_none_or(|old| old.find(patch.name(change)).is_none()) {
            merge_member(None, (patch, change), out);
        }
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}

fn merge_member(old: Option<(&Tree, usize)>, (patch, change): (&Tree, usize), out: &mut Vec<u8>) {
    let (name, value) = (patch.name(change), patch.value(change));
    if patch.members[change].is_object {
        out.raw(name);
        out.push(b':');
        merge_object(old.filter(|&(tree, position)| tree.members[position].is_object), (patch, change), out);
        out.push(b',');
    } else if value != "null" {
        write(name, value, out);
    }
}

fn write(name: &str, value: &str, out: &mut Vec<u8>) {
    out.raw(name);
    out.push(b':');
    out.raw(value);
    out.push(b',');
}

/// Finds the members of an object by their names.
enum Names<'t> {
    Few(&'t Tree, Vec<usize>),
    Many(HashMap<&'t str, usize>),
}

impl<'t> Names<'t> {
    fn of(tree: &'t Tree, position: usize) -> Self {
        let positions: Vec<_> = tree.inside(position).collect();
        match positions.len() {
            0..=MEMBERS_FEW => Names::Few(tree, positions),
            _ => Names::Many(positions.into_iter().map(|position| (tree.name(position), position)).collect()),
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        match self {
            Names::Few(tree, positions) => positions.iter().copied().find(|&position| tree.name(position) == name),
            Names::Many(positions) => positions.get(name).copied(),
        }
    }
}
