//! CloudFormation's intrinsic functions, each with a method of its own.

use serde_json::{Map, Value};

use super::{
    resolver::{ErrorReported, Resolved, Resolver, WAY_OUT},
    scalar::as_text,
};

impl Resolver<'_> {
    /// Resolves a function. Problems in its arguments are reported under the path of the function's own property.
    pub(super) fn function(&mut self, path: &str, name: &str, argument: &Value) -> Resolved {
        let arguments = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
        match (name, arguments) {
            ("Ref", [Value::String(name)]) => self.reference(path, name),
            ("Fn::Sub", [Value::String(text)]) => self.sub(path, text, &Map::new()),
            ("Fn::Sub", [Value::String(text), Value::Object(variables)]) => self.sub(path, text, variables),
            ("Fn::Join", [Value::String(delimiter), list]) => self.join(path, delimiter, list),
            ("Fn::Select", [index, list]) => self.select(path, index, list),
            ("Fn::Split", [Value::String(delimiter), source]) if !delimiter.is_empty() => {
                self.split(path, delimiter, source)
            }
            ("Fn::FindInMap", [map, top, second]) => self.find_in_map(path, [map, top, second], None),
            ("Fn::FindInMap", [map, top, second, default]) if default.get("DefaultValue").is_some() => {
                self.find_in_map(path, [map, top, second], default.get("DefaultValue"))
            }
            ("Fn::If", [Value::String(condition), then, otherwise]) => {
                let holds = self.named_condition(path, condition)?;
                self.value(path, if holds { then } else { otherwise })
            }
            ("Fn::GetAtt", parts) => {
                let parts: Vec<_> = parts.iter().filter_map(Value::as_str).collect();
                self.refuse_unknown(path, &format!("Fn::GetAtt {}", parts.join(".")))
            }
            ("Fn::ImportValue", [name]) => self.import(path, name),
            ("Fn::GetAZs" | "Fn::Transform", _) => self.refuse_unknown(path, name),
            (
                "Ref" | "Fn::Sub" | "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap" | "Fn::If"
                | "Fn::ImportValue",
                _,
            ) => self.refuse(path, format!("{name} has the wrong arguments")),
            _ => self.refuse(path, format!("{name} is not supported; {WAY_OUT}")),
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html>
    fn sub(&mut self, path: &str, text: &str, variables: &Map<String, Value>) -> Resolved {
        let mut result = Ok(String::new());
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once("${").and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            rest = after;
            let replacement = match name.strip_prefix('!') {
                Some(literal) => Ok(format!("${{{literal}}}")),
                None => self.variable(path, name, variables),
            };
            result = result.and_then(|done| Ok(done + before + &replacement?));
        }
        result.map(|done| Some((done + rest).into()))
    }

    fn variable(&mut self, path: &str, name: &str, variables: &Map<String, Value>) -> Result<String, ErrorReported> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:".contains(c)) {
            let rule = "may contain only letters, digits, underscores, periods and colons";
            return self.refuse(path, format!("a name in Fn::Sub {rule}, but is {name:?}; write ${{!…}} to keep it"));
        }
        let value = match variables.get(name) {
            Some(value) => self.value(path, value)?,
            None if name.contains('.') => return self.refuse_unknown(path, &format!("${{{name}}} in Fn::Sub")),
            None => self.reference(path, name)?,
        };
        match value {
            Some(Value::String(text)) => Ok(text),
            _ => self.refuse(path, format!("${{{name}}} in Fn::Sub is not text")),
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-join.html>
    fn join(&mut self, path: &str, delimiter: &str, list: &Value) -> Resolved {
        let list = self.list(path, "Fn::Join", list)?;
        let Some(texts) = list.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else {
            return self.refuse(path, "Fn::Join needs a list of texts, but an entry is a list or a map");
        };
        Ok(Some(texts.join(delimiter).into()))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-select.html>
    fn select(&mut self, path: &str, index: &Value, list: &Value) -> Resolved {
        let index = self.text(path, "the index of Fn::Select", index);
        let list = self.list(path, "Fn::Select", list)?;
        let index = index?;
        let Some(entry) = index.parse::<usize>().ok().and_then(|index| list.get(index)) else {
            let count = list.len();
            return self
                .refuse(path, format!("Fn::Select has no entry {index:?} in a list of {count}; the first entry is 0"));
        };
        Ok(Some(entry.clone()))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-split.html>
    fn split(&mut self, path: &str, delimiter: &str, source: &Value) -> Resolved {
        let source = self.text(path, "the source of Fn::Split", source)?;
        Ok(Some(source.split(delimiter).collect()))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-findinmap.html>
    /// and, for the default, <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-findinmap-enhancements.html>
    fn find_in_map(&mut self, path: &str, keys: [&Value; 3], default: Option<&Value>) -> Resolved {
        let [map, top, second] = keys.map(|key| self.text(path, "a key of Fn::FindInMap", key));
        let (map, top, second) = (map?, top?, second?);
        let template = self.template;
        let found = template.entry("Mappings", &map).and_then(|map| map.get(&top)?.get(&second));
        // A mapping cannot hold functions, so its values are literal: text, or a list of texts.
        let text_or_list = |found: &Value| match found.as_array() {
            Some(list) => list.iter().map(as_text).collect::<Option<Value>>(),
            None => as_text(found).map(Value::from),
        };
        match (found.map(text_or_list), default) {
            (Some(Some(found)), _) => Ok(Some(found)),
            (None, Some(default)) => self.value(path, default),
            _ => self.refuse(path, format!("Fn::FindInMap finds no text or list of texts at {map}.{top}.{second}")),
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-importvalue.html>
    fn import(&mut self, path: &str, name: &Value) -> Resolved {
        let Some(exports) = &self.pseudo.exports else { return self.refuse_unknown(path, "Fn::ImportValue") };
        let name = self.text(path, "the name in Fn::ImportValue", name)?;
        match exports.get(&name) {
            Some(value) => Ok(Some(value.clone().into())),
            None => self.refuse(path, format!("no stack in this account and region exports {name}")),
        }
    }

    fn text(&mut self, path: &str, what: &str, value: &Value) -> Result<String, ErrorReported> {
        match self.value(path, value)? {
            Some(Value::String(text)) => Ok(text),
            _ => self.refuse(path, format!("{what} must be text")),
        }
    }

    fn list(&mut self, path: &str, function: &str, value: &Value) -> Result<Vec<Value>, ErrorReported> {
        if let Value::Array(entries) = value {
            return self.entries(entries, |_| path.to_owned());
        }
        match self.value(path, value)? {
            Some(Value::Array(list)) => Ok(list),
            _ => self.refuse(path, format!("{function} needs a list")),
        }
    }
}
