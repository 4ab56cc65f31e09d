//! YAML text to JSON values, as CloudFormation reads it.

use std::{borrow::Cow, collections::BTreeMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::{insert, scalar, scalar::as_text};

/// The size that a template may have after its aliases are expanded: 8 times the megabyte that CloudFormation
/// accepts. A few aliases of aliases would fill the memory otherwise.
pub(super) const MAX_SIZE: usize = 8 << 20;
/// The cost of an entry in addition to its text: about the memory that it takes.
const ENTRY_SIZE: usize = 16;
/// How deep values may be nested. A program's stack is finite, and nobody writes this much by hand; serde_json has
/// the same limit for JSON.
const MAX_NESTING: usize = 128;

const CORE_SCHEMA: &str = "tag:yaml.org,2002:";
/// The functions that have a short form in addition to `Ref` and `Condition`. The last row belongs to the rules of a
/// template.
const SHORT_FORMS: [&str; 24] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "RefAll",
    "ValueOf",
    "ValueOfAll",
];

/// Reads the one document of a text. The error says what is wrong and where.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let events = events(text)?;
    Reader { events: &events, next: 0, anchors: BTreeMap::new(), depth: 0, size: 0, path: Vec::new() }.node()
}

type Node<'t> = (Event<'t>, Span);

/// The parser's events between the start and the end of the document. Stops early at a text that is nested too deep
/// or has too many entries.
fn events(text: &str) -> Result<Vec<Node<'_>>, String> {
    let mut events = Vec::new();
    let mut depth: usize = 0;
    let mut documents = 0;
    for parsed in Parser::new_from_str(text) {
        let (event, span) = parsed.map_err(|error| {
            let mark = error.marker();
            format!("{} at line {} column {}", error.info(), mark.line(), mark.col() + 1)
        })?;
        match event {
            Event::DocumentStart(_) => documents += 1,
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if documents > 1 {
            return Err(at("it holds more than one document", span));
        }
        if depth > MAX_NESTING {
            return Err(at(&too_deep(), span));
        }
        if events.len() > MAX_SIZE / ENTRY_SIZE {
            return Err(TOO_LARGE.to_owned());
        }
        if !matches!(
            event,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd
        ) {
            events.push((event, span));
        }
    }
    Ok(events)
}

const TOO_LARGE: &str = "it is too large, or its aliases make it too large";

fn too_deep() -> String {
    format!("recursion limit exceeded: it is nested more than {MAX_NESTING} levels deep")
}

fn at(message: &str, span: Span) -> String {
    format!("{message} at line {} column {}", span.start.line(), span.start.col() + 1)
}

/// Builds a value from the events. An alias reads the events of its anchor again, so that all limits count for it.
struct Reader<'e, 't> {
    events: &'e [Node<'t>],
    /// The index of the event to read next.
    next: usize,
    /// The index of the event with which each anchor's value begins.
    anchors: BTreeMap<usize, usize>,
    depth: usize,
    size: usize,
    /// The names of the values that are being read, for errors.
    path: Vec<String>,
}

impl<'e, 't> Reader<'e, 't> {
    fn node(&mut self) -> Result<Value, String> {
        // A document without content has no events.
        let Some((event, span)) = self.take() else { return Ok(Value::Null) };
        self.size = self.size.saturating_add(ENTRY_SIZE);
        if self.size > MAX_SIZE {
            return Err(self.error(TOO_LARGE, *span));
        }
        if self.depth == MAX_NESTING {
            return Err(self.error(&too_deep(), *span));
        }
        self.depth += 1;
        let start = self.next - 1;
        let value = match event {
            Event::Alias(anchor) => self.alias(*anchor, *span),
            Event::Scalar(text, style, anchor, tag) => {
                self.anchors.insert(*anchor, start);
                self.size = self.size.saturating_add(text.len());
                self.tagged(tag.as_ref(), *span, |this, tag| {
                    scalar_value(text, *style, tag).map_err(|message| this.error(&message, *span))
                })
            }
            Event::SequenceStart(anchor, tag) => {
                self.anchors.insert(*anchor, start);
                self.tagged(tag.as_ref(), *span, |this, _| this.sequence())
            }
            Event::MappingStart(anchor, tag) => {
                self.anchors.insert(*anchor, start);
                self.tagged(tag.as_ref(), *span, |this, _| this.mapping())
            }
            _ => Err(self.error("this is not a value", *span)),
        };
        self.depth -= 1;
        value
    }

    fn take(&mut self) -> Option<&'e Node<'t>> {
        let node = self.events.get(self.next)?;
        self.next += 1;
        Some(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Value, String> {
        let Some(start) = self.anchors.get(&anchor) else { return Err(self.error("unknown anchor", span)) };
        let next = std::mem::replace(&mut self.next, *start);
        let value = self.node();
        self.next = next;
        value
    }

    fn sequence(&mut self) -> Result<Value, String> {
        let mut list = Vec::new();
        while !self.ends(&Event::SequenceEnd) {
            self.path.push(format!("[{}]", list.len()));
            list.push(self.node()?);
            self.path.pop();
        }
        Ok(list.into())
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut map = Map::new();
        while !self.ends(&Event::MappingEnd) {
            let span = self.events.get(self.next).map(|(_, span)| *span).unwrap_or_default();
            let key = self.node()?;
            let key = as_text(&key).ok_or_else(|| self.error("a key must be text", span))?;
            self.path.push(key.clone());
            let value = self.node()?;
            self.path.pop();
            insert(&mut map, key, value).map_err(|message| self.error(&message, span))?;
        }
        Ok(map.into())
    }

    /// Whether the collection ends here; its end is consumed.
    fn ends(&mut self, end: &Event<'_>) -> bool {
        let ends = self.events.get(self.next).is_none_or(|(event, _)| event == end);
        self.next += usize::from(ends);
        ends
    }

    /// Reads a value that may have a tag: a short form becomes the map of the long form.
    fn tagged(
        &mut self,
        tag: Option<&Cow<'_, Tag>>,
        span: Span,
        read: impl FnOnce(&mut Self, TagKind<'_>) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let Some(tag) = tag else { return read(self, TagKind::None) };
        let name = format!("{}{}", tag.handle, tag.suffix);
        if let Some(core) = name.strip_prefix(CORE_SCHEMA) {
            return read(self, TagKind::Core(core));
        }
        let short = name.strip_prefix('!').unwrap_or(&name);
        let function = match short {
            "Ref" | "Condition" => short.to_owned(),
            _ if SHORT_FORMS.contains(&short) => format!("Fn::{short}"),
            _ => return Err(self.error(&format!("CloudFormation has no tag !{short}"), span)),
        };
        let mut argument = read(self, TagKind::ShortForm)?;
        if let ("GetAtt", Some((resource, attribute))) =
            (short, argument.as_str().and_then(|text| text.split_once('.')))
        {
            argument = vec![resource, attribute].into();
        }
        Ok(Map::from_iter([(function, argument)]).into())
    }

    fn error(&self, message: &str, span: Span) -> String {
        let mut path = String::new();
        for part in &self.path {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        let separator = if path.is_empty() { "" } else { ": " };
        format!("{path}{separator}{}", at(message, span))
    }
}

enum TagKind<'a> {
    None,
    ShortForm,
    /// A tag of YAML's own, such as `!!str`, without its prefix.
    Core(&'a str),
}

fn scalar_value(text: &str, style: ScalarStyle, tag: TagKind<'_>) -> Result<Value, String> {
    match (tag, style) {
        (TagKind::Core(core), _) => scalar::of_core_tag(text, core),
        (TagKind::None, ScalarStyle::Plain) => Ok(scalar::plain(text)),
        (TagKind::ShortForm, ScalarStyle::Plain) => Ok(scalar::plain_yaml_1_2(text)),
        _ => Ok(text.into()),
    }
}
