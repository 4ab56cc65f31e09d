//! Reading a template: what a resource's properties would be, before a deploy.
//!
//! [`parse`] reads YAML and JSON as CloudFormation does, and [`Template::properties`] works out the functions whose
//! values follow from the template, its parameters and the stack. What only a deploy can tell (an attribute of another
//! resource, an export, a value in Parameter Store) is a [`Problem`]. All problems are reported together.
//!
//! Not checked, because CloudFormation does so itself: the rules of a parameter (AllowedValues, AllowedPattern and the
//! like), values of parameters that the resource does not use, and whether a function may stand where it stands.

use std::{cell::Cell, collections::BTreeMap, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Value};

/// Why a template does not tell a resource's properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a template that CloudFormation could read: {0}")]
    Syntax(String),
    #[error("the template has no resource {0} (what a macro or a Fn::ForEach adds is not seen here)")]
    NoSuchResource(String),
    #[error("{logical_id} is not created under these parameters: its condition {condition} is false")]
    NotCreated { logical_id: String, condition: String },
    #[error("the properties cannot be worked out from the template:\n  {}", lines(.0))]
    Unresolved(Vec<Problem>),
}

/// A value that cannot be worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: a property, such as `Clients[1].AllowedOAuthScopes[0]`, or a part of the template, such as
    /// `Conditions.InProduction`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        write!(f, "{path}: {message}")
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Reads a template, or a file of properties, in YAML or in JSON; the functions' short forms (`!Ref X`) become the
/// long ones.
///
/// CloudFormation reads [YAML 1.1](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html)
/// without its dates. So, without quotes, `yes` is true, `010` is 8, `1.10` is 1.1 and `2012-10-17` is text. Not
/// imitated are the rare forms `0888`, `1_000` and `1:30`, which stay as they are written, and large fractions and
/// powers of ten (`1e30`), which CloudFormation may write in another way. In quotes all of them are safe.
///
/// Aliases are read although CloudFormation refuses them, because `sam deploy` and `aws cloudformation package` write
/// them out before. Merges (`<<`) and a key that stands in a map twice are refused.
pub fn parse(text: &str) -> Result<Value, Error> {
    let text = text.trim_start_matches('\u{feff}');
    check_brackets(text)?;
    // YAML's parser reads most JSON, but not its surrogate pairs. A flow map in YAML starts with the same bracket.
    let json = text.trim_start().starts_with('{').then(|| {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = (&Reader::new(text)).deserialize(&mut json)?;
        json.end().map(|()| value)
    });
    let value = match json {
        Some(Ok(value)) => value,
        _ => (&Reader::new(text))
            .deserialize(yaml_serde::Deserializer::from_str(text))
            .map_err(|error| Error::Syntax(error.to_string()))?,
    };
    if value.is_object() { Ok(value) } else { Err(Error::Syntax("it holds no map of names and values".to_owned())) }
}

/// Refuses text that would keep YAML's parser busy for hours: at each word it goes through all open brackets. Those in
/// quotes count too, which may be off by some, but never by this many.
fn check_brackets(text: &str) -> Result<(), Error> {
    const MAX_OPEN_BRACKETS: usize = 1_000;
    let mut open: usize = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPEN_BRACKETS {
            return Err(Error::Syntax("its brackets are nested too deep".to_owned()));
        }
    }
    Ok(())
}

/// How much a template may hold once its aliases are written out: 8 times the megabyte that CloudFormation accepts.
/// A few aliases of aliases would fill the memory otherwise.
const MAX_SIZE: usize = 8 << 20;
/// What an entry costs beside its text, about the room that it takes.
const ENTRY_SIZE: usize = 16;

/// How far a tag and the spaces behind it may reach: twice the longest tag there is. To look back further would take
/// for ever in a text without spaces.
const MAX_TAG: usize = 32;

/// Builds JSON from what a parser finds in the text.
struct Reader<'t> {
    text: &'t str,
    room: Cell<usize>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, room: Cell::new(MAX_SIZE) }
    }

    fn take_room<E: de::Error>(&self, length: usize) -> Result<(), E> {
        let room = self.room.get().checked_sub(length.saturating_add(ENTRY_SIZE));
        self.room.set(room.ok_or_else(|| E::custom("it is too large, or its aliases make it so"))?);
        Ok(())
    }

    /// Whether a scalar is one that its form may make a number or a boolean: it has no quotes and no tag.
    ///
    /// The parsers do not say so, but they lend out the very part of the text, before which the quote or the tag is.
    fn is_plain(&self, scalar: &'t str) -> bool {
        let start = scalar.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let before = self.text.as_bytes().get(start.saturating_sub(MAX_TAG)..start).unwrap_or_default();
        let ends_a_word = |byte: &u8| byte.is_ascii_whitespace() || b"[{,".contains(byte);
        let last_word = before.trim_ascii_end().rsplit(ends_a_word).next().unwrap_or_default();
        !before.ends_with(b"\"") && !before.ends_with(b"'") && !last_word.starts_with(b"!")
    }
}

/// What YAML 1.1 makes of a plain scalar that is text in YAML 1.2, which is the one that the parser reads.
///
/// Single letters stay: CloudFormation knows `yes` and `on`, but not `y`, as booleans.
fn as_yaml_1_1(scalar: &str) -> Option<Value> {
    match scalar {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true.into()),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false.into()),
        _ => {
            let octal = scalar.strip_prefix('0').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            u64::from_str_radix(octal, 8).ok().map(Value::from)
        }
    }
}

impl<'t> DeserializeSeed<'t> for &Reader<'t> {
    type Value = Value;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for &Reader<'t> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a template")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.take_room(0).map(|()| Value::Null)
    }

    /// An empty document.
    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        self.take_room(0).map(|()| flag.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        self.take_room(0).map(|()| number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.take_room(0).map(|()| number.into())
    }

    /// JSON has no place for so large a number, and CloudFormation makes text of all of them.
    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Value, E> {
        self.visit_string(number.to_string())
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Value, E> {
        self.visit_string(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        // Infinity is no number in JSON.
        serde_json::Number::from_f64(number)
            .map_or_else(|| self.visit_string(number.to_string()), |number| self.take_room(0).map(|()| number.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.take_room(text.len()).map(|()| text.into())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'t str) -> Result<Value, E> {
        match as_yaml_1_1(text) {
            Some(value) if self.is_plain(text) => self.take_room(0).map(|()| value),
            _ => self.visit_str(text),
        }
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.take_room(0)?;
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(self)? {
            list.push(entry);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.take_room(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(self)? {
            let key = as_text(&key).ok_or_else(|| de::Error::custom("a key must be text"))?;
            if key == "<<" {
                return Err(de::Error::custom("CloudFormation knows no merges (<<); write the entries out"));
            }
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} stands here twice")));
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(map.into())
    }

    fn visit_enum<A: EnumAccess<'t>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, content) = tagged.variant::<String>()?;
        let tag = tag.trim_start_matches('!');
        let mut argument = content.newtype_variant_seed(self)?;
        let function = match tag {
            "Ref" | "Condition" => tag.to_owned(),
            // The last six have their place in the rules of a template.
            "And" | "Base64" | "Cidr" | "Equals" | "FindInMap" | "GetAtt" | "GetAZs" | "If" | "ImportValue"
            | "Join" | "Length" | "Not" | "Or" | "Select" | "Split" | "Sub" | "ToJsonString" | "Transform"
            | "Contains" | "EachMemberEquals" | "EachMemberIn" | "RefAll" | "ValueOf" | "ValueOfAll" => {
                format!("Fn::{tag}")
            }
            _ => return Err(de::Error::custom(format_args!("CloudFormation knows no tag !{tag}"))),
        };
        if let ("GetAtt", Some((resource, attribute))) = (tag, argument.as_str().and_then(|text| text.split_once('.')))
        {
            argument = vec![resource, attribute].into();
        }
        Ok(Map::from_iter([(function, argument)]).into())
    }
}

/// A scalar as CloudFormation hands it over: always text.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What the [pseudo parameters](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html)
/// stand for, where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pseudo {
    pub account_id: Option<String>,
    pub partition: Option<String>,
    pub region: Option<String>,
    pub stack_id: Option<String>,
    pub stack_name: Option<String>,
    pub url_suffix: Option<String>,
}

/// A template whose functions have their long forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Value);

impl Template {
    #[must_use]
    pub fn new(template: Value) -> Self {
        Self(template)
    }

    /// The logical ids of the resources of a type.
    #[must_use]
    pub fn resources_of_type(&self, resource_type: &str) -> Vec<&str> {
        self.section("Resources")
            .filter(|(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(resource_type))
            .map(|(logical_id, _)| logical_id.as_str())
            .collect()
    }

    /// The names of the parameters that the template declares.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.section("Parameters").map(|(name, _)| name.as_str())
    }

    /// The properties that CloudFormation would hand over for a resource, with every scalar as text and without
    /// `ServiceToken` and `ServiceTimeout`, which say how the provider is called.
    ///
    /// A parameter's value is the one in `parameters`, else its default.
    pub fn properties(
        &self,
        logical_id: &str,
        parameters: &BTreeMap<String, String>,
        pseudo: &Pseudo,
    ) -> Result<Value, Error> {
        let resource =
            self.entry("Resources", logical_id).ok_or_else(|| Error::NoSuchResource(logical_id.to_owned()))?;
        let conditions = BTreeMap::new();
        let mut resolver = Resolver { template: self, parameters, pseudo, conditions, depth: 0, problems: Vec::new() };
        resolver.check_parameters();
        resolver.check_macros(resource);
        if let Some(condition) = resource.get("Condition") {
            let condition = condition.as_str().unwrap_or_default();
            let created = resolver.named_condition("Condition", condition);
            // A parameter's name that is not right may be the reason, so it is reported instead.
            if created == Ok(false) && resolver.problems.is_empty() {
                return Err(Error::NotCreated { logical_id: logical_id.to_owned(), condition: condition.to_owned() });
            }
        }
        let mut properties = resource.get("Properties").cloned().unwrap_or_else(|| Map::new().into());
        if let Some(map) = properties.as_object_mut() {
            map.retain(|name, _| !matches!(name.as_str(), "ServiceToken" | "ServiceTimeout"));
        }
        let found = resolver.value("", &properties);
        // A name that a text holds twice is missing twice.
        resolver.problems.dedup();
        match found {
            Ok(found) if resolver.problems.is_empty() => Ok(found.unwrap_or_else(|| Map::new().into())),
            Ok(_) | Err(ErrorReported) => Err(Error::Unresolved(resolver.problems)),
        }
    }

    fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get(name).and_then(Value::as_object).into_iter().flatten()
    }

    fn entry(&self, section: &str, name: &str) -> Option<&Value> {
        self.0.get(section)?.get(name)
    }
}

/// How deep values and conditions may stand in each other, far more than people write. The stack is finite, and a
/// chain of conditions may be as long as the template.
const MAX_DEPTH: usize = 100;

/// What a user can do about a value that is not worked out.
const WAY_OUT: &str = "write the value out, or pass the properties with --properties";

/// A problem has been noted; the value is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ErrorReported;

/// A value; none where `AWS::NoValue` takes the property or the entry away.
type Resolved = Result<Option<Value>, ErrorReported>;

struct Resolver<'a> {
    template: &'a Template,
    parameters: &'a BTreeMap<String, String>,
    pseudo: &'a Pseudo,
    /// The conditions that have been asked for; none while one is being worked out.
    conditions: BTreeMap<&'a str, Option<Result<bool, ErrorReported>>>,
    depth: usize,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    fn note(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { "Properties" } else { path };
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    fn refuse<T>(&mut self, path: &str, message: impl Into<String>) -> Result<T, ErrorReported> {
        self.note(path, message);
        Err(ErrorReported)
    }

    fn refuse_unknown<T>(&mut self, path: &str, what: &str) -> Result<T, ErrorReported> {
        self.refuse(path, format!("{what} cannot be known before the deploy; {WAY_OUT}"))
    }

    /// CloudFormation refuses these too, and a slip in a name would change the plan without a word.
    fn check_parameters(&mut self) {
        for name in self.parameters.keys() {
            if self.template.entry("Parameters", name).is_none() {
                let declared: Vec<_> = self.template.parameters().collect();
                let declared = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
                let message = format!("the template does not declare this parameter; declared: {declared}");
                self.note(&format!("Parameters.{name}"), message);
            }
        }
    }

    /// [Macros](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html) of the user's own
    /// may change anything. AWS's own for whole templates leave a custom resource's properties as they are.
    fn check_macros(&mut self, resource: &Value) {
        let root = &self.template.0;
        for transforms in [root.get("Transform"), root.get("Fn::Transform")].into_iter().flatten() {
            for transform in transforms.as_array().map_or(std::slice::from_ref(transforms), Vec::as_slice) {
                let name = transform.get("Name").unwrap_or(transform).as_str().unwrap_or("without a name");
                if !name.starts_with("AWS::") {
                    self.note("Transform", format!("the macro {name} may change the properties; {WAY_OUT}"));
                }
            }
        }
        if resource.get("Fn::Transform").is_some() {
            self.note("", format!("the resource's Fn::Transform may change them; {WAY_OUT}"));
        }
    }

    /// One level deeper, as long as there is one.
    fn nested<T>(
        &mut self,
        path: &str,
        step: impl FnOnce(&mut Self) -> Result<T, ErrorReported>,
    ) -> Result<T, ErrorReported> {
        if self.depth == MAX_DEPTH {
            return self.refuse(path, format!("is nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    fn value(&mut self, path: &str, value: &Value) -> Resolved {
        let resolved = self.nested(path, |this| match value {
            Value::Null => this.refuse(path, "null has no place in a template"),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(as_text(value).map(Value::from)),
            Value::Array(entries) => {
                this.entries(entries, |index| format!("{path}[{index}]")).map(|list| Some(list.into()))
            }
            Value::Object(map) => this.map(path, map),
        })?;
        // See https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
        if resolved.as_ref().and_then(Value::as_str).is_some_and(|text| text.contains("{{resolve:")) {
            return self.refuse_unknown(path, "a dynamic reference ({{resolve:…}})");
        }
        Ok(resolved)
    }

    fn entries(&mut self, entries: &[Value], path: impl Fn(usize) -> String) -> Result<Vec<Value>, ErrorReported> {
        // All are looked at before the first problem counts, so that all problems are noted.
        let resolved: Vec<_> = entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| self.value(&path(index), entry).transpose())
            .collect();
        resolved.into_iter().collect()
    }

    fn map(&mut self, path: &str, map: &Map<String, Value>) -> Resolved {
        // A map with more in it than `Ref` is one of the user's own, such as tags.
        let function = map.iter().find(|(name, _)| name.starts_with("Fn::") || (*name == "Ref" && map.len() == 1));
        match function {
            Some((name, argument)) if map.len() == 1 => self.function(path, name, argument),
            Some((name, _)) => self.refuse(path, format!("{name} beside other entries is not worked out; {WAY_OUT}")),
            None => {
                let join = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let resolved: Vec<_> = map
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.value(&join(name), value).transpose()?)))
                    .collect();
                let map: Result<Map<_, _>, _> =
                    resolved.into_iter().map(|(name, value)| value.map(|value| (name, value))).collect();
                map.map(|map| Some(map.into()))
            }
        }
    }

    /// A function's value; its arguments are reported under the path of the property that it is the value of.
    fn function(&mut self, path: &str, name: &str, argument: &Value) -> Resolved {
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
            ("Fn::GetAZs" | "Fn::ImportValue" | "Fn::Transform", _) => self.refuse_unknown(path, name),
            ("Ref" | "Fn::Sub" | "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap" | "Fn::If", _) => {
                self.refuse(path, format!("{name} does not have the arguments that it takes"))
            }
            _ => self.refuse(path, format!("{name} is not worked out; {WAY_OUT}")),
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-ref.html>
    fn reference(&mut self, path: &str, name: &str) -> Resolved {
        let Pseudo { account_id, partition, region, stack_id, stack_name, url_suffix } = self.pseudo;
        let known = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => account_id,
            "AWS::Partition" => partition,
            "AWS::Region" => region,
            "AWS::StackId" => stack_id,
            "AWS::StackName" => stack_name,
            "AWS::URLSuffix" => url_suffix,
            _ if name.starts_with("AWS::") => &None,
            _ => return self.parameter(path, name),
        };
        known.clone().map_or_else(|| self.refuse_unknown(path, name), |text| Ok(Some(text.into())))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>
    fn parameter(&mut self, path: &str, name: &str) -> Resolved {
        let Some(declaration) = self.template.entry("Parameters", name) else {
            return match self.template.entry("Resources", name) {
                Some(_) => self.refuse_unknown(path, &format!("Ref to the resource {name}")),
                None => self.refuse(path, format!("{name} is neither a parameter nor a resource of the template")),
            };
        };
        let parameter_type = declaration.get("Type").and_then(Value::as_str).unwrap_or("String");
        // Given or not, its value is a name in Parameter Store, where CloudFormation looks the real value up.
        if parameter_type.starts_with("AWS::SSM::Parameter::Value<") {
            return self.refuse_unknown(path, &format!("the parameter {name}, a value in Parameter Store,"));
        }
        let given = self.parameters.get(name).cloned();
        let Some(text) = given.or_else(|| declaration.get("Default").and_then(as_text)) else {
            let advice = format!("give one with --parameter-overrides {name}=…");
            return self.refuse(path, format!("the parameter {name} has no value and no default; {advice}"));
        };
        let is_list = parameter_type == "CommaDelimitedList" || parameter_type.starts_with("List<");
        Ok(Some(if is_list { text.split(',').map(str::trim).collect() } else { text.into() }))
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
            let rule = "may hold letters, digits, underscores, periods and colons only";
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
            return self.refuse(path, "Fn::Join takes a list of texts, but an entry is a list or a map");
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
                .refuse(path, format!("Fn::Select finds no entry {index:?} in a list of {count}, counted from 0"));
        };
        Ok(Some(entry.clone()))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-split.html>
    fn split(&mut self, path: &str, delimiter: &str, source: &Value) -> Resolved {
        let source = self.text(path, "what Fn::Split takes apart", source)?;
        Ok(Some(source.split(delimiter).collect()))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-findinmap.html>
    /// and, for the default, <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-findinmap-enhancements.html>
    fn find_in_map(&mut self, path: &str, keys: [&Value; 3], default: Option<&Value>) -> Resolved {
        let [map, top, second] = keys.map(|key| self.text(path, "a key of Fn::FindInMap", key));
        let (map, top, second) = (map?, top?, second?);
        let template = self.template;
        let found = template.entry("Mappings", &map).and_then(|map| map.get(&top)?.get(&second));
        // Functions have no place in a mapping, so that its values are taken as they are: text, or a list of texts.
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
            _ => self.refuse(path, format!("{function} takes a list, but has none")),
        }
    }

    /// A condition's name is worked out once, however often it is used: conditions of conditions would take for ever
    /// otherwise.
    fn named_condition(&mut self, path: &str, name: &str) -> Result<bool, ErrorReported> {
        let template = self.template;
        let conditions = template.0.get("Conditions").and_then(Value::as_object);
        let Some((name, condition)) = conditions.and_then(|conditions| conditions.get_key_value(name)) else {
            return self.refuse(path, format!("the template has no condition {name:?}"));
        };
        let own_path = format!("Conditions.{name}");
        match self.conditions.get(name.as_str()) {
            Some(Some(known)) => *known,
            Some(None) => self.refuse(&own_path, "the condition depends on itself"),
            None => {
                self.conditions.insert(name, None);
                let holds = self.condition(&own_path, condition);
                self.conditions.insert(name, Some(holds));
                holds
            }
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html>
    fn condition(&mut self, path: &str, condition: &Value) -> Result<bool, ErrorReported> {
        let mut entries = condition.as_object().into_iter().flatten();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self.refuse(path, "a condition is one function, but this is something else");
        };
        let arguments = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
        self.nested(path, |this| match (name.as_str(), arguments) {
            ("Condition", [Value::String(name)]) => this.named_condition(path, name),
            ("Fn::Equals", [left, right]) => {
                let (left, right) = (this.value(path, left), this.value(path, right));
                Ok(left? == right?)
            }
            ("Fn::Not", [condition]) => this.condition(path, condition).map(|holds| !holds),
            ("Fn::And", conditions) if matches!(conditions.len(), 2..=10) => {
                this.conditions(path, conditions).map(|holds| holds.into_iter().all(|holds| holds))
            }
            ("Fn::Or", conditions) if matches!(conditions.len(), 2..=10) => {
                this.conditions(path, conditions).map(|holds| holds.into_iter().any(|holds| holds))
            }
            ("Condition" | "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => {
                this.refuse(path, format!("{name} does not have the arguments that it takes"))
            }
            _ => this.refuse(path, format!("{name} is no function for conditions")),
        })
    }

    fn conditions(&mut self, path: &str, conditions: &[Value]) -> Result<Vec<bool>, ErrorReported> {
        let holds: Vec<_> = conditions.iter().map(|condition| self.condition(path, condition)).collect();
        holds.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const OWN: &str = include_str!("../../../template.yaml");
    const CONSUMER: &str = include_str!("../../../examples/consumer.yaml");

    fn given(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn template(text: &str) -> Template {
        Template::new(parse(text).unwrap())
    }

    fn syntax_error(text: &str) -> String {
        match parse(text) {
            Err(Error::Syntax(message)) => message,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// What the one property `It` comes to in a template whose other sections have something of everything.
    fn it(property: &str) -> Result<Value, Error> {
        it_with(property, &[])
    }

    fn it_with(property: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        let text = format!(
            "
Parameters:
  Name: {{Type: String, Default: shop}}
  Count: {{Type: Number, Default: 60}}
  Flag: {{Type: String, Default: yes}}
  Needed: {{Type: String}}
  Names: {{Type: CommaDelimitedList, Default: 'a, b ,c'}}
  Zones: {{Type: 'List<AWS::EC2::AvailabilityZone::Name>', Default: 'x,y'}}
  Stored: {{Type: 'AWS::SSM::Parameter::Value<String>', Default: /name}}
  Linked: {{Type: String, Default: '{{{{resolve:ssm:/name}}}}'}}
Mappings:
  Tiers:
    shop: {{Tier: PLUS, Days: 30, Scopes: [read, write], Odd: {{a: b}}}}
    111122223333: {{Tier: LITE}}
Conditions:
  Shop: !Equals [!Ref Name, shop]
  NotShop: !Not [!Condition Shop]
  Sixty: !Equals [!Ref Count, 60]
  Both: !And [!Condition Shop, Condition: Sixty]
  One: !Or [!Condition NotShop, !Condition Sixty]
  Neither: !Or [!Condition NotShop, !Not [!Condition Sixty]]
  Round: !Not [!Condition Trip]
  Trip: !Not [!Condition Round]
  Late: !Equals [!GetAtt Queue.Arn, x]
  Alone: !And [!Condition Shop]
  Text: Shop
Resources:
  Queue: {{Type: AWS::SQS::Queue}}
  Auth:
    Type: Custom::CognitoM2M
    Properties:
      It: {property}
"
        );
        let pseudo = Pseudo {
            region: Some("eu-west-1".to_owned()),
            account_id: Some("111122223333".to_owned()),
            partition: Some("aws".to_owned()),
            stack_name: Some("orders".to_owned()),
            stack_id: Some("arn:stack".to_owned()),
            url_suffix: Some("amazonaws.com".to_owned()),
        };
        let mut properties = template(&text).properties("Auth", &given(parameters), &pseudo)?;
        Ok(properties["It"].take())
    }

    fn problems(property: &str) -> String {
        match it(property) {
            Err(Error::Unresolved(problems)) => lines(&problems),
            other => panic!("{property}: {other:?}"),
        }
    }

    #[track_caller]
    fn assert_it(property: &str, expected: impl Into<Value>) {
        assert_eq!(it(property), Ok(expected.into()), "{property}");
    }

    #[track_caller]
    fn assert_problem(property: &str, expected: &str) {
        assert_eq!(problems(property), expected, "{property}");
    }

    const WHEN_UNKNOWN: &str =
        "cannot be known before the deploy; write the value out, or pass the properties with --properties";

    #[test]
    fn this_project_s_template_comes_to_its_defaults() {
        let template = template(OWN);
        assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["M2M"]);
        let properties = template.properties("M2M", &BTreeMap::new(), &Pseudo::default());
        let expected = json!({
            "EnvironmentName": "dev",
            "UserPoolNamePrefix": "machine-to-machine",
            "DomainPrefix": "m2m-rubicon",
            "ProjectTag": "m2m-auth",
            "Clients": [{"ClientName": "machine-to-machine-dev-client", "AccessTokenValidityMinutes": "60"}],
            "UserPoolTier": "ESSENTIALS",
            "ManagedLoginVersion": "2",
            "DeletionProtection": "INACTIVE",
            "SecretRecoveryWindowInDays": "7",
            "RotationDays": "0",
            "RotateSecrets": "",
            "VerifyToken": "true",
        });
        assert_eq!(properties, Ok(expected));
    }

    #[test]
    fn overrides_take_the_place_of_the_defaults() {
        let overrides = given(&[
            ("EnvironmentName", "prod"),
            ("AccessTokenValidityMinutes", "5"),
            ("SecretKmsKeyArns", "arn:aws:kms:eu-west-1:1:key/a,arn:aws:kms:eu-west-1:1:key/b"),
        ]);
        let properties = template(OWN).properties("M2M", &overrides, &Pseudo::default()).unwrap();
        assert_eq!(properties["EnvironmentName"], "prod");
        assert_eq!(
            properties["Clients"],
            json!([{"ClientName": "machine-to-machine-prod-client", "AccessTokenValidityMinutes": "5"}])
        );
        assert_eq!(properties["SecretKmsKeyId"], "arn:aws:kms:eu-west-1:1:key/a");
    }

    #[test]
    fn an_override_may_be_empty() {
        let overrides = given(&[("SecretKmsKeyArns", ""), ("RotateSecrets", "")]);
        let properties = template(OWN).properties("M2M", &overrides, &Pseudo::default()).unwrap();
        assert_eq!(properties.get("SecretKmsKeyId"), None);
        assert_eq!(properties["RotateSecrets"], "");
    }

    #[test]
    fn a_resource_whose_condition_is_false_is_not_created() {
        let error = template(OWN).properties("M2M", &given(&[("DeployM2MStack", "false")]), &Pseudo::default());
        let error = error.unwrap_err();
        assert_eq!(error, Error::NotCreated { logical_id: "M2M".to_owned(), condition: "WithM2MStack".to_owned() });
        assert_eq!(error.to_string(), "M2M is not created under these parameters: its condition WithM2MStack is false");
    }

    #[test]
    fn the_consumer_s_export_is_not_needed_for_its_properties() {
        let template = template(CONSUMER);
        assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["Auth"]);
        assert_eq!(template.parameters().collect::<Vec<_>>(), ["DomainPrefix", "EnvironmentName", "ProviderStackName"]);
        let properties =
            template.properties("Auth", &given(&[("EnvironmentName", "prod")]), &Pseudo::default()).unwrap();
        assert_eq!(properties["EnvironmentName"], "prod");
        assert_eq!(properties["Tags"], json!({"Team": "orders"}));
        assert_eq!(
            properties["Clients"][2],
            json!({
                "ClientName": "reporting",
                "AllowedOAuthScopes": ["orders/read", "invoices/read"],
                "AccessTokenValidityMinutes": "5",
            })
        );
        assert_eq!(properties.get("ServiceToken"), None);
        assert_eq!(properties.get("ServiceTimeout"), None);
    }

    #[test]
    fn a_resource_is_found_by_its_type_alone() {
        let template = template(
            "
Resources:
  Zoo: {Type: Custom::CognitoM2M}
  Other: {Type: AWS::CloudFormation::CustomResource}
  Odd: text
  Fn::ForEach::Loop: [Id, [a], {'Auth${Id}': {Type: Custom::CognitoM2M}}]
  Ape: {Type: Custom::CognitoM2M}
",
        );
        assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["Ape", "Zoo"]);
        let error = template.properties("Authx", &BTreeMap::new(), &Pseudo::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the template has no resource Authx (what a macro or a Fn::ForEach adds is not seen here)"
        );
    }

    #[test]
    fn a_resource_without_properties_has_none() {
        let nothing = |text: &str| template(text).properties("Auth", &BTreeMap::new(), &Pseudo::default());
        assert_eq!(nothing("Resources: {Auth: {Type: T}}"), Ok(json!({})));
        assert_eq!(nothing("Resources: {Auth: {Properties: !Ref AWS::NoValue}}"), Ok(json!({})));
        let Err(Error::Unresolved(problems)) = nothing("Resources: {Auth: {Properties: }}") else { panic!() };
        assert_eq!(lines(&problems), "Properties: null has no place in a template");
    }

    #[test]
    fn short_forms_become_long_ones_wherever_they_stand() {
        let text = "
a: !Select [0, !Split [',', !Ref X]]
b: [!If [C, {k: !Sub '${X}'}, !FindInMap [M, !Ref X, z]]]
c: !GetAtt Res.Outputs.Arn
d: !GetAtt [Res, Arn]
e: !Join
  - ''
  - - x
    - !ImportValue y
f: !And [!Condition A, !Not [!Equals [a, b]]]
g: !Base64
  Fn::Sub: x
h: !Transform {Name: AWS::Include}
i: !GetAZs ''
Rule: !Contains [[a], !ValueOf [P, V]]
";
        let expected = json!({
            "a": {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "X"}]}]},
            "b": [{"Fn::If": ["C", {"k": {"Fn::Sub": "${X}"}}, {"Fn::FindInMap": ["M", {"Ref": "X"}, "z"]}]}],
            "c": {"Fn::GetAtt": ["Res", "Outputs.Arn"]},
            "d": {"Fn::GetAtt": ["Res", "Arn"]},
            "e": {"Fn::Join": ["", ["x", {"Fn::ImportValue": "y"}]]},
            "f": {"Fn::And": [{"Condition": "A"}, {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}]},
            "g": {"Fn::Base64": {"Fn::Sub": "x"}},
            "h": {"Fn::Transform": {"Name": "AWS::Include"}},
            "i": {"Fn::GetAZs": ""},
            "Rule": {"Fn::Contains": [["a"], {"Fn::ValueOf": ["P", "V"]}]},
        });
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn scalars_without_quotes_are_read_as_yaml_1_1() {
        let text = "
Übersicht: [ja, yes, Yes, NO, on, OFF, true, False]
letters: [y, Y, n, N]
octal: [010, 007, 0]
numbers: [60, -5, 1.5, 1.10, 0x1F, 123456789012345678901234567890]
kept: [2012-10-17, 0888, 1_000, 1:30, 1.2.3, 10.0.0.0/8, .inf]
multi: yes
  no
empty: [~, null, ]
";
        let value = parse(text).unwrap();
        assert_eq!(value["Übersicht"], json!(["ja", true, true, false, true, false, true, false]));
        assert_eq!(value["letters"], json!(["y", "Y", "n", "N"]));
        assert_eq!(value["octal"], json!([8, 7, 0]));
        assert_eq!(value["numbers"], json!([60, -5, 1.5, 1.1, 31, "123456789012345678901234567890"]));
        assert_eq!(value["kept"], json!(["2012-10-17", "0888", "1_000", "1:30", "1.2.3", "10.0.0.0/8", "inf"]));
        assert_eq!(value["multi"], "yes no");
        assert_eq!(value["empty"], json!([null, null]));
    }

    #[test]
    fn quotes_and_tags_keep_a_scalar_text() {
        let text = r#"
é: ["yes", 'yes', "010", '010', "1.10", "60", "true", "~", ""]
tags: [!!str yes, !!str 010, !Sub yes, !Sub 'no']
block: |-
  yes
"on": 'off'
anchored: [&a "010", *a, &b 010, *b]
"#;
        let value = parse(text).unwrap();
        assert_eq!(value["é"], json!(["yes", "yes", "010", "010", "1.10", "60", "true", "~", ""]));
        assert_eq!(value["tags"], json!(["yes", "010", {"Fn::Sub": "yes"}, {"Fn::Sub": "no"}]));
        assert_eq!(value["block"], "yes");
        assert_eq!(value["on"], "off");
        assert_eq!(value["anchored"], json!(["010", "010", 8, 8]));
    }

    #[test]
    fn json_is_read_as_json() {
        let text =
            "{\n\t\"a\":\"yes\",\"b\":[\"010\",1.0,null,true],\"c\":\"\\ud83d\\ude00\\/\",\"d\":{\"Ref\":\"X\"}}";
        assert_eq!(parse(text), Ok(json!({"a": "yes", "b": ["010", 1.0, null, true], "c": "😀/", "d": {"Ref": "X"}})));
        assert_eq!(parse("\u{feff}{\"a\": \"\\ud83d\\ude00\"}"), Ok(json!({"a": "😀"})), "behind a byte order mark");
        assert_eq!(parse("\u{feff}a: yes\n"), Ok(json!({"a": true})));
        assert_eq!(parse("{a: !Ref X, b: on}"), Ok(json!({"a": {"Ref": "X"}, "b": true})));
    }

    #[test]
    fn keys_become_text() {
        let value = parse("{111122223333: a, 010: b, yes: c, 1.5: d, e: f}").unwrap();
        assert_eq!(value, json!({"111122223333": "a", "8": "b", "true": "c", "1.5": "d", "e": "f"}));
    }

    #[test]
    fn what_cloudformation_does_not_read_is_refused() {
        for (text, reason) in [
            ("a: !Reff X", "CloudFormation knows no tag !Reff"),
            ("a: {b: 1, c: 2, b: 3}", "the key \"b\" stands here twice"),
            ("{\"a\": 1, \"a\": 2}", "the key \"a\" stands here twice"),
            ("a: &a {b: 1}\nc:\n  <<: *a", "CloudFormation knows no merges (<<)"),
            ("a: 1\n---\nb: 2", "more than one document"),
            ("? [a]\n: b", "a key must be text"),
            ("~: a", "a key must be text"),
            ("", "it holds no map"),
            ("# a comment", "it holds no map"),
            ("just text", "it holds no map"),
            ("[a, b]", "it holds no map"),
            ("a: *b", "unknown anchor"),
            ("a: [", "did not find expected"),
            ("{\"a\": ", "did not find expected"),
            ("a: \"\\q\"", "unknown escape character"),
        ] {
            let error = syntax_error(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn an_error_of_the_text_names_its_place() {
        insta::assert_snapshot!(
            parse("Resources:\n  Auth:\n    Type: !Reff X\n").unwrap_err(),
            @"not a template that CloudFormation could read: Resources.Auth.Type: CloudFormation knows no tag !Reff at line 3 column 11"
        );
    }

    #[test]
    fn deep_nesting_and_multiplied_aliases_are_errors() {
        assert!(syntax_error(&format!("a: {}", "[".repeat(1_000_000))).contains("brackets are nested too deep"));
        assert!(syntax_error(&"{\"a\":".repeat(1_000_000)).contains("brackets are nested too deep"));
        assert!(syntax_error(&format!("a: {}", "!Not [".repeat(900))).contains("recursion limit"));
        assert!(syntax_error(&"{\"a\":".repeat(900)).contains("recursion limit"));
        assert!(syntax_error(&"- ".repeat(10_000)).contains("recursion limit"));
        assert!(parse(&format!("a: [{}]", "[x], {y: z}, ".repeat(10_000))).is_ok());
        assert!(syntax_error("a: &a [*a]").contains("recursion limit"));
        let laugh = |n| format!("a{n}: &a{n} [*a{m}, *a{m}]", m = n - 1);
        let laughs = (1..30).map(laugh).collect::<Vec<_>>().join("\n");
        let error = syntax_error(&format!("a0: &a0 ha\n{laughs}"));
        assert!(error.contains("limit") || error.contains("too large"), "{error}");
        let wide = format!("a: &a [{}]\nb: [{}]", "1,".repeat(3_000), "*a,".repeat(3_000));
        assert!(syntax_error(&wide).contains("too large"));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a,".repeat(10_000));
        assert!(syntax_error(&long).contains("too large"));
    }

    #[test]
    fn values_nested_too_deep_are_a_problem() {
        let deep = format!("{}x{}", "[".repeat(110), "]".repeat(110));
        let path = format!("It{}", "[0]".repeat(MAX_DEPTH - 1));
        assert_problem(&deep, &format!("{path}: is nested more than 100 levels deep"));
        assert!(it(&format!("{}x{}", "[".repeat(90), "]".repeat(90))).is_ok());
    }

    #[test]
    fn every_scalar_becomes_text() {
        assert_it("[1, 1.5, true, no, text, {a: 7}]", json!(["1", "1.5", "true", "false", "text", {"a": "7"}]));
        assert_problem("[a, ~]", "It[1]: null has no place in a template");
    }

    #[test]
    fn ref_gives_a_parameter_s_value_as_text_or_as_a_list() {
        assert_it("!Ref Name", "shop");
        assert_it("!Ref Count", "60");
        assert_it("!Ref Flag", "true");
        assert_it("!Ref Names", json!(["a", "b", "c"]));
        assert_it("!Ref Zones", json!(["x", "y"]));
        assert_eq!(it_with("!Ref Names", &[("Names", "")]), Ok(json!([""])));
        assert_eq!(it_with("!Ref Name", &[("Name", "a, b")]), Ok(json!("a, b")));
        assert_eq!(it_with("!Ref Needed", &[("Needed", "010")]), Ok(json!("010")));
    }

    #[test]
    fn ref_gives_what_is_known_of_the_stack() {
        let all = "[!Ref AWS::Region, !Ref AWS::AccountId, !Ref AWS::Partition, !Ref AWS::URLSuffix, \
                   !Ref AWS::StackName, !Ref AWS::StackId]";
        let expected = ["eu-west-1", "111122223333", "aws", "amazonaws.com", "orders", "arn:stack"];
        assert_it(all, expected.to_vec());
        assert_problem("!Ref AWS::NotificationARNs", &format!("It: AWS::NotificationARNs {WHEN_UNKNOWN}"));
        let unknown = template("Resources: {A: {Properties: {It: !Ref AWS::Region}}}");
        let error = unknown.properties("A", &BTreeMap::new(), &Pseudo::default()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("It: AWS::Region {WHEN_UNKNOWN}")), "{error}");
    }

    #[test]
    fn ref_to_anything_else_is_a_problem() {
        assert_problem("!Ref Queue", &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}"));
        assert_problem("!Ref Nobody", "It: Nobody is neither a parameter nor a resource of the template");
        assert_problem(
            "!Ref Needed",
            "It: the parameter Needed has no value and no default; give one with --parameter-overrides Needed=…",
        );
        let stored = format!("It: the parameter Stored, a value in Parameter Store, {WHEN_UNKNOWN}");
        assert_problem("!Ref Stored", &stored);
        let Err(Error::Unresolved(problems)) = it_with("!Ref Stored", &[("Stored", "/other")]) else { panic!() };
        assert_eq!(lines(&problems), stored);
    }

    #[test]
    fn no_value_takes_a_property_or_an_entry_away() {
        assert_it("{a: !Ref AWS::NoValue, b: [x, !Ref AWS::NoValue, y]}", json!({"b": ["x", "y"]}));
        assert_it("!If [NotShop, x, !Ref AWS::NoValue]", Value::Null);
        assert_it("!Join [',', [a, !If [NotShop, b, !Ref AWS::NoValue], c]]", "a,c");
        assert_problem("!Sub '${AWS::NoValue}'", "It: ${AWS::NoValue} in Fn::Sub is not text");
        assert_problem("!Split [',', !Ref AWS::NoValue]", "It: what Fn::Split takes apart must be text");
    }

    #[test]
    fn ref_with_other_entries_beside_it_is_a_map_of_the_user_s() {
        assert_it("{Ref: Name, Team: orders}", json!({"Ref": "Name", "Team": "orders"}));
        assert_it("{Condition: Shop}", json!({"Condition": "Shop"}));
        assert_problem(
            "{'Fn::Sub': x, Team: orders}",
            "It: Fn::Sub beside other entries is not worked out; write the value out, or pass the properties with \
             --properties",
        );
    }

    #[test]
    fn sub_puts_values_into_text() {
        assert_it("!Sub plain", "plain");
        assert_it("!Sub '${Name}-${Count}-${AWS::Region}'", "shop-60-eu-west-1");
        assert_it("!Sub 'a $${Name} $Name {Name} ${!Name} ${!} ${open'", "a $shop $Name {Name} ${Name} ${} ${open");
        assert_it("!Sub ['${Own}/${Name}', {Own: !Join ['', [x, !Ref Count]], Name: mine}]", "x60/mine");
        assert_it("!Sub ['${a.b}', {a.b: dotted}]", "dotted");
        assert_it("!Sub ['x', {Unused: !GetAtt Queue.Arn}]", "x");
        // A value is put in as it is.
        assert_eq!(it_with("!Sub '${Name}'", &[("Name", "${Count}")]), Ok(json!("${Count}")));
    }

    #[test]
    fn sub_refuses_what_is_no_text() {
        assert_problem("!Sub '${Queue.Arn}'", &format!("It: ${{Queue.Arn}} in Fn::Sub {WHEN_UNKNOWN}"));
        assert_problem("!Sub '${Queue}'", &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}"));
        assert_problem("!Sub '${Names}'", "It: ${Names} in Fn::Sub is not text");
        assert_problem("!Sub ['${a}', {a: {b: c}}]", "It: ${a} in Fn::Sub is not text");
        for name in ["A:-x y", "", " Name"] {
            let rule = "may hold letters, digits, underscores, periods and colons only";
            let problem = format!("It: a name in Fn::Sub {rule}, but is {name:?}; write ${{!…}} to keep it");
            assert_problem(&format!("!Sub '${{{name}}}'"), &problem);
        }
        assert_problem(
            "!Sub '${One} ${One} ${Two}'",
            "It: One is neither a parameter nor a resource of the template\n  \
             It: Two is neither a parameter nor a resource of the template",
        );
    }

    #[test]
    fn join_and_split_are_each_other_s_opposites() {
        assert_it("!Join [':', [a, 1, true, !Ref Name]]", "a:1:true:shop");
        assert_it("!Join ['', !Ref Names]", "abc");
        assert_it("!Join [',', []]", "");
        assert_it("!Split ['|', 'a||c|']", json!(["a", "", "c", ""]));
        assert_it("!Split [', ', !Join [', ', !Ref Names]]", json!(["a", "b", "c"]));
        assert_problem("!Join [',', [[a], b]]", "It: Fn::Join takes a list of texts, but an entry is a list or a map");
        assert_problem("!Join [',', !Ref Name]", "It: Fn::Join takes a list, but has none");
        assert_problem("!Split [',', !Ref Names]", "It: what Fn::Split takes apart must be text");
    }

    #[test]
    fn select_counts_from_zero() {
        assert_it("!Select [0, [a, b]]", "a");
        assert_it("!Select ['1', !Ref Names]", "b");
        assert_it("!Select [!Select [0, ['1']], [a, {b: c}]]", json!({"b": "c"}));
        assert_it("!Select [2, !Split ['-', a-b-c]]", "c");
        for index in ["2", "-1", "one", "1.0"] {
            let problem = format!("It: Fn::Select finds no entry {index:?} in a list of 2, counted from 0");
            assert_problem(&format!("!Select [{index}, [a, b]]"), &problem);
        }
        assert_problem("!Select [0, a]", "It: Fn::Select takes a list, but has none");
        assert_problem("!Select [[0], [a]]", "It: the index of Fn::Select must be text");
    }

    #[test]
    fn find_in_map_finds_text_and_lists() {
        assert_it("!FindInMap [Tiers, !Ref Name, Tier]", "PLUS");
        assert_it("!FindInMap [Tiers, !Ref AWS::AccountId, Tier]", "LITE");
        assert_it("!FindInMap [Tiers, shop, Days]", "30");
        assert_it("!FindInMap [Tiers, shop, Scopes]", json!(["read", "write"]));
        assert_it("!FindInMap [Tiers, nowhere, Tier, {DefaultValue: !Ref Count}]", "60");
        assert_it("!FindInMap [Tiers, shop, Tier, {DefaultValue: !Ref Queue}]", "PLUS");
        for keys in ["Tiers.nowhere.Tier", "Tiers.shop.Nothing", "None.shop.Tier", "Tiers.shop.Odd"] {
            let property = format!("!FindInMap [{}]", keys.replace('.', ", "));
            assert_problem(&property, &format!("It: Fn::FindInMap finds no text or list of texts at {keys}"));
        }
        assert_problem(
            "!FindInMap [Tiers, !Ref Queue, [x]]",
            &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}\n  It: a key of Fn::FindInMap must be text"),
        );
    }

    #[test]
    fn if_takes_one_side_and_does_not_look_at_the_other() {
        assert_it("!If [Shop, yes it is, !GetAtt Queue.Arn]", "yes it is");
        assert_it("!If [NotShop, !GetAtt Queue.Arn, [!If [Sixty, {a: 1}, b]]]", json!([{"a": "1"}]));
        assert_problem("!If [Nowhere, a, b]", "It: the template has no condition \"Nowhere\"");
    }

    #[test]
    fn conditions_are_worked_out() {
        for (condition, holds) in
            [("Shop", true), ("NotShop", false), ("Sixty", true), ("Both", true), ("One", true), ("Neither", false)]
        {
            assert_it(&format!("!If [{condition}, holds, does not]"), if holds { "holds" } else { "does not" });
        }
        assert_eq!(it_with("!If [Shop, x, y]", &[("Name", "Shop")]), Ok(json!("y")), "the case counts");
        assert_eq!(it_with("!If [Both, x, y]", &[("Count", "60.0")]), Ok(json!("y")), "the text counts");
    }

    #[test]
    fn what_is_wrong_with_a_condition_is_reported_once() {
        let twice = |condition: &str| problems(&format!("[!If [{condition}, a, b], !If [{condition}, c, d]]"));
        assert_eq!(twice("Round"), "Conditions.Round: the condition depends on itself");
        assert_eq!(twice("Late"), format!("Conditions.Late: Fn::GetAtt Queue.Arn {WHEN_UNKNOWN}"));
        assert_eq!(twice("Alone"), "Conditions.Alone: Fn::And does not have the arguments that it takes");
        assert_eq!(twice("Text"), "Conditions.Text: a condition is one function, but this is something else");
    }

    #[test]
    fn a_chain_of_conditions_has_an_end_and_a_net_of_them_is_walked_once() {
        let of = |count: usize, condition: &dyn Fn(usize) -> String| {
            let conditions: Vec<_> = (0..count).map(|n| format!("  C{n}: {}", condition(n + 1))).collect();
            let conditions = conditions.join("\n");
            let last = format!("  C{count}: !Equals [a, a]\nResources: {{A: {{Condition: C0}}}}");
            template(&format!("Conditions:\n{conditions}\n{last}")).properties(
                "A",
                &BTreeMap::new(),
                &Pseudo::default(),
            )
        };
        assert_eq!(of(45, &|next| format!("!And [!Condition C{next}, !Condition C{next}]")), Ok(json!({})));
        let error = of(20_000, &|next| format!("!Not [!Condition C{next}]")).unwrap_err();
        assert!(error.to_string().ends_with(": is nested more than 100 levels deep"), "{error}");
    }

    #[test]
    fn functions_of_the_deploy_are_problems() {
        assert_problem("!GetAtt Queue.Name", &format!("It: Fn::GetAtt Queue.Name {WHEN_UNKNOWN}"));
        assert_problem("{'Fn::GetAtt': [Queue, Name]}", &format!("It: Fn::GetAtt Queue.Name {WHEN_UNKNOWN}"));
        assert_problem("!ImportValue x", &format!("It: Fn::ImportValue {WHEN_UNKNOWN}"));
        assert_problem("!GetAZs ''", &format!("It: Fn::GetAZs {WHEN_UNKNOWN}"));
        assert_problem("!Transform {Name: AWS::Include}", &format!("It: Fn::Transform {WHEN_UNKNOWN}"));
        for function in ["Base64", "Cidr", "Length", "ToJsonString", "Equals", "ValueOf"] {
            let way_out = "write the value out, or pass the properties with --properties";
            assert_problem(&format!("!{function} [a]"), &format!("It: Fn::{function} is not worked out; {way_out}"));
        }
    }

    #[test]
    fn dynamic_references_are_problems_wherever_they_come_from() {
        let problem = format!("It: a dynamic reference ({{{{resolve:…}}}}) {WHEN_UNKNOWN}");
        assert_problem("'{{resolve:ssm:/a}}'", &problem);
        assert_problem("!Sub '{{resolve:ssm:/${Name}}}'", &problem);
        assert_problem("!Ref Linked", &problem);
        assert_problem("!Join [':', ['{{resolve', 'ssm', '/a}}']]", &problem);
    }

    #[test]
    fn functions_with_the_wrong_arguments_are_problems() {
        for function in ["Ref", "Sub", "Join", "Select", "Split", "FindInMap", "If"] {
            let name = if function == "Ref" { "Ref".to_owned() } else { format!("Fn::{function}") };
            let problem = format!("It: {name} does not have the arguments that it takes");
            for arguments in ["{}", "[]", "", "[{}, x, y, z]"] {
                assert_problem(&format!("!{function} {arguments}"), &problem);
            }
        }
        assert_problem("!Split ['', abc]", "It: Fn::Split does not have the arguments that it takes");
    }

    #[test]
    fn all_problems_are_reported_together_with_their_paths() {
        let template = template(
            "
Parameters: {Used: {Type: String, Default: x}}
Resources:
  Auth:
    Type: Custom::CognitoM2M
    Properties:
      ServiceToken: !GetAtt Provider.Arn
      EnvironmentName: !Ref Used
      Clients:
        - ClientName: !GetAtt Queue.Name
          AllowedOAuthScopes: [orders/read, !Sub '${Used}/${Missing}']
        - ClientName: !ImportValue name
      Tags: {Owner: !Select [3, [a]]}
",
        );
        let error = template.properties("Auth", &given(&[("Usedd", "y"), ("Used", "z")]), &Pseudo::default());
        insta::assert_snapshot!(error.unwrap_err(), @r#"
        the properties cannot be worked out from the template:
          Parameters.Usedd: the template does not declare this parameter; declared: Used
          Clients[0].AllowedOAuthScopes[1]: Missing is neither a parameter nor a resource of the template
          Clients[0].ClientName: Fn::GetAtt Queue.Name cannot be known before the deploy; write the value out, or pass the properties with --properties
          Clients[1].ClientName: Fn::ImportValue cannot be known before the deploy; write the value out, or pass the properties with --properties
          Tags.Owner: Fn::Select finds no entry "3" in a list of 1, counted from 0
        "#);
    }

    #[test]
    fn a_parameter_that_is_not_declared_is_reported_instead_of_its_consequences() {
        let error = template(OWN).properties(
            "M2M",
            &given(&[("DeployM2M", "true"), ("DeployM2MStack", "false")]),
            &Pseudo::default(),
        );
        let Err(Error::Unresolved(problems)) = error else { panic!("{error:?}") };
        assert_eq!(problems[0].path, "Parameters.DeployM2M");
        let none = template("Resources: {A: {}}").properties("A", &given(&[("X", "")]), &Pseudo::default());
        assert!(
            none.unwrap_err()
                .to_string()
                .ends_with("Parameters.X: the template does not declare this parameter; declared: none")
        );
    }

    #[test]
    fn a_condition_that_is_no_name_is_a_problem() {
        let error = template("Resources: {A: {Condition: {Fn::Equals: [a, a]}}}")
            .properties("A", &BTreeMap::new(), &Pseudo::default())
            .unwrap_err();
        assert!(error.to_string().ends_with("Condition: the template has no condition \"\""), "{error}");
    }

    #[test]
    fn macros_of_one_s_own_are_a_problem_and_aws_s_are_not() {
        let with = |head: &str, resource: &str| {
            let text = format!("{head}\nResources: {{A: {{Type: T{resource}}}}}");
            template(&text).properties("A", &BTreeMap::new(), &Pseudo::default()).map_err(|error| error.to_string())
        };
        for head in [
            "Transform: AWS::Serverless-2016-10-31",
            "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]",
            "Transform: {Name: AWS::Include, Parameters: {Location: s3://a/b}}",
            "Globals: {Function: {Timeout: 3}}",
        ] {
            assert_eq!(with(head, ""), Ok(json!({})), "{head}");
        }
        for head in
            ["Transform: Mine", "Transform: [AWS::Serverless-2016-10-31, {Name: Mine}]", "Fn::Transform: {Name: Mine}"]
        {
            let error = with(head, "").unwrap_err();
            assert!(error.contains("Transform: the macro Mine may change the properties; write"), "{error}");
        }
        let error = with("", ", Fn::Transform: {Name: AWS::Include}").unwrap_err();
        assert!(error.contains("Properties: the resource's Fn::Transform may change them; write"), "{error}");
        let error = with("", ", Properties: {ServiceToken: x, Fn::Transform: {Name: AWS::Include}}").unwrap_err();
        assert!(error.contains(&format!("Properties: Fn::Transform {WHEN_UNKNOWN}")), "{error}");
        let error = with("", ", Properties: {Fn::ForEach::X: [I, [a], {b: c}], d: e}").unwrap_err();
        assert!(error.contains("Properties: Fn::ForEach::X beside other entries is not worked out"), "{error}");
    }

    /// Pieces of templates in any order, most of which are wrong in an interesting way.
    fn pieces() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "a",
            "é",
            ": ",
            ":",
            "- ",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "!Ref ",
            "!Sub ",
            "!!str ",
            "!",
            "&a ",
            "*a",
            "<<",
            "'",
            "\"",
            "\\",
            "|\n",
            ">\n",
            "~",
            "010",
            "yes",
            "1e999",
            "${a}",
            "${",
            "#",
            "---\n",
            "...\n",
            "? ",
            "%",
            "@",
            "\u{feff}",
            "\u{0}",
            "Resources",
            "Properties",
            "Fn::If",
            "AWS::NoValue",
        ]);
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// Values that have functions at every place, with arguments of every kind.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1..3).prop_map(Value::from),
            prop::sample::select(vec!["", "P", "C", "M", "AWS::NoValue", "AWS::Region", "${P}${!x}${M.a}${", ","])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            let names = vec![
                "Ref",
                "Condition",
                "Fn::If",
                "Fn::Sub",
                "Fn::Join",
                "Fn::Select",
                "Fn::Split",
                "Fn::FindInMap",
                "Fn::GetAtt",
                "Fn::Equals",
                "Fn::And",
                "Fn::Or",
                "Fn::Not",
                "DefaultValue",
                "P",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(names), inner, 0..3)
                    .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), pieces()]) {
            let _ = parse(&text);
        }

        #[test]
        fn no_template_makes_it_panic(properties in values(), condition in values(), parameter in values()) {
            let template = Template::new(json!({
                "Parameters": {"P": {"Type": "String", "Default": parameter}},
                "Mappings": {"M": {"P": {"C": condition}}},
                "Conditions": {"C": condition, "P": {"Fn::Equals": [properties, properties]}},
                "Transform": condition,
                "Resources": {"A": {"Properties": properties}, "B": {"Condition": "C", "Properties": condition}, "C": condition},
            }));
            for logical_id in ["A", "B", "C"] {
                match template.properties(logical_id, &BTreeMap::new(), &Pseudo::default()) {
                    Err(Error::Unresolved(problems)) => prop_assert!(!problems.is_empty()),
                    Err(_) => {}
                    Ok(properties) => prop_assert!(properties.to_string().find("\"Fn::").is_none()),
                }
            }
        }
    }
}
