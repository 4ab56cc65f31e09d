"""Checks the properties of a resource, as a template has them, by the JSON Schema that the provider is made from.

The schema describes the properties as the provider gets them. A template has intrinsic functions in their places, and
numbers and booleans that CloudFormation hands over as text. So this module reads the schema itself: it checks what the
template says, and accepts what only a deployment knows.

A validator of JSON Schema would not do. It knows no intrinsic functions, and it would report "does not match" where the
provider has a sentence. The keywords that begin with `x-` hold the provider's sentences.
"""

from dataclasses import dataclass, field
from typing import Any

import regex

# Stands in a name for what only a deployment knows. Each part of a name may be this character.
UNKNOWN_TEXT = "x"
# As the provider does it: a message holds several values, and CloudFormation cuts it off.
MAX_QUOTED_CHARS = 80


@dataclass
class Value:
    """A value of a template."""

    value: Any
    # The keys and indexes from the resource's properties to the value, those of functions included.
    place: list
    # The path as the provider names it, such as `Clients[1].ClientName`.
    path: str

    def item(self, index, value):
        return Value(value, [*self.place, index], f"{self.path}[{index}]")

    def property(self, name):
        path = f"{self.path}.{shorten(name)}" if self.path else shorten(name)
        return Value(self.value[name], [*self.place, name], path)

    def alternatives(self):
        """Returns the values that this may be, without those that only a deployment knows, and whether those are all."""
        kind = function(self.value)
        if kind == "Fn::If":
            branches = self.value[kind]
            if not isinstance(branches, list) or len(branches) != 3:
                return [], False
            known, complete = [], True
            for index in (1, 2):
                branch = Value(branches[index], [*self.place, kind, index], self.path)
                values, all_known = branch.alternatives()
                known, complete = known + values, complete and all_known
            return known, complete
        if kind == "Ref" and self.value[kind] == "AWS::NoValue":
            return [], True
        if kind or (isinstance(self.value, str) and "{{resolve:" in self.value):
            return [], False
        return [self], True


@dataclass
class Checker:
    schema: dict
    findings: list = field(default_factory=list)
    refused: set = field(default_factory=set)

    def check(self, properties):
        """Returns what is wrong: its place below the properties, and a message."""
        root = Value(properties, [], "")
        if function(properties):
            return []
        self.object(root, self.schema)
        if isinstance(properties, dict):
            self.scopes(root)
        # A name that is in two branches of a condition is reported once.
        unique = dict.fromkeys((tuple(place), message) for place, message in self.findings)
        return [(list(place), message) for place, message in unique]

    def refuse(self, place, path, message):
        self.refused.add(path)
        self.findings.append((place, f"{path}: {message}"))

    def any(self, value, schema):
        """Checks a value of any kind, and each branch of a condition."""
        for known in value.alternatives()[0]:
            if "propertyNames" in schema:
                self.tags(known, schema)
            elif "properties" in schema:
                self.object(known, schema)
            elif schema.get("type") == "array" or "anyOf" in schema and schema["anyOf"][0].get("type") == "array":
                self.list(known, schema)
            else:
                self.scalar(known, schema)

    def scalar(self, value, schema, text=None):
        text = self.text(value) if text is None else text
        if text is not None and not holds(schema, text):
            self.refuse(value.place, value.path, fill(schema["x-message"], "empty" if is_text(schema, text) else quoted(text)))
            return None
        return text

    def text(self, value):
        """Returns a scalar as CloudFormation hands it over."""
        if value.value is None or isinstance(value.value, (dict, list)):
            self.refuse(value.place, value.path, f"must be a string, but is {kind(value.value)}")
            return None
        return as_text(value.value)

    def list(self, value, schema):
        if "anyOf" in schema:
            if value.value == [""]:
                return
            schema = schema["anyOf"][0]
        if not isinstance(value.value, list):
            self.refuse(value.place, value.path, f"must be a list, but is {kind(value.value)}")
            return
        self.count(value, schema)
        for index, item in enumerate(value.value):
            self.any(value.item(index, item), schema["items"])
        self.unique(value, schema["x-unique"])

    def count(self, value, schema):
        """Checks how many entries there are. A condition may remove an entry, and a function in a list is one entry."""
        least = sum(1 for index, item in enumerate(value.value) if is_certain(value.item(index, item)))
        most = len(value.value)
        if most < schema.get("minItems", 0) or least > schema["maxItems"]:
            self.refuse(value.place, value.path, fill(schema["x-message"], most))

    def unique(self, value, unique):
        """Checks that no entry is there twice. An entry with a condition may be the other's alternative."""
        seen = set()
        for index, item in enumerate(value.value):
            item = value.item(index, item)
            if "property" in unique:
                if not isinstance(item.value, dict) or unique["property"] not in item.value:
                    continue
                item = item.property(unique["property"])
            text = literal(item)
            # A name that is not valid is reported by itself.
            if text is None or item.path in self.refused:
                continue
            if text in seen:
                self.refuse(item.place, item.path, fill(unique["message"], quoted(text)))
            seen.add(text)

    def object(self, value, schema):
        if not isinstance(value.value, dict):
            path = value.path or "ResourceProperties"
            self.refuse(value.place, path, f"must be a map, but is {kind(value.value)}")
            return
        properties = schema["properties"]
        # Fn::Transform and Fn::ForEach add properties that are not here.
        is_complete = not any(is_function_name(name) for name in value.value)
        for name in value.value:
            if name not in properties and not is_function_name(name):
                item = value.property(name)
                self.refuse(item.place, item.path, schema["x-unknown"])
        for name, rule in properties.items():
            # CloudFormation's own properties have no rule.
            if rule is True or set(rule) == {"description"}:
                continue
            if is_absent(value, name):
                if is_complete and "x-required" in rule:
                    path = f"{value.path}.{name}" if value.path else name
                    self.refuse(value.place, path, rule["x-required"])
            else:
                self.any(value.property(name), rule)
        if is_complete:
            self.conditions(value, schema)
            self.names(value, schema)

    def conditions(self, value, schema):
        """Checks `if` and `then` if the schema has the provider's message."""
        for rule in schema.get("allOf", []):
            if "x-message" not in rule or not self.apply(value, schema, rule["if"]["properties"]):
                continue
            for name, allowed in rule["then"].get("properties", {}).items():
                if allowed is False and name in value.value and is_certain(value.property(name)):
                    item = value.property(name)
                    self.refuse(item.place, item.path, rule["x-message"])
            for name in rule["then"].get("required", []):
                if "x-path" in rule:
                    if is_absent(value, name):
                        cause = value.property(rule["x-path"])
                        self.refuse(cause.place, cause.path, fill(rule["x-message"], quoted(literal(cause))))
                    continue
                absent = is_absent(value, name)
                text = self.read(value, schema, name)
                path = f"{value.path}.{name}" if value.path else name
                if text is None or path in self.refused or holds(rule["then"]["properties"][name], text):
                    continue
                place = value.place if absent else [*value.place, name]
                self.refuse(place, path, fill(rule["x-message"], f"{int(text)}{' (the default)' if absent else ''}"))

    def read(self, value, schema, name):
        """Returns the text of a property as the provider reads it.

        It reads the default if the property is absent or refused. Returns None if there is no default, or if only a
        deployment knows the text.
        """
        if is_absent(value, name) or is_known(value.property(name)) and value.property(name).path in self.refused:
            default = schema["properties"][name].get("default")
            return None if default is None else as_text(default)
        return literal(value.property(name))

    def apply(self, value, schema, conditions):
        """Tells whether properties keep the conditions of a rule. If only a deployment knows, they do not."""
        texts = [(self.read(value, schema, name), condition) for name, condition in conditions.items()]
        return all(text is not None and holds(condition, text) for text, condition in texts)

    def names(self, value, schema):
        """Checks names that follow from several properties."""
        broken = []
        for rule in schema.get("x-names", []):
            if not self.apply(value, schema, rule.get("when", {})):
                continue
            if "unless" in rule and not is_absent(value, rule["unless"]):
                continue
            texts = self.texts(value, schema, rule["parts"])
            broken += [(rule, text, cause) for text, cause in texts if not holds(rule["schema"], text)]
        for rule, text, cause in broken:
            # The default client's name begins with the pool's. If that is too long by itself, it says enough.
            others = [other["path"] for other, begin, _ in broken if other["path"] != rule["path"] and begin != text]
            if any({"property": other} in rule["parts"] for other in others):
                continue
            path = f"{value.path}.{rule['path']}" if value.path else rule["path"]
            place = [*value.place, rule["path"]] if rule["path"] in value.value else cause
            self.refuse(place, path, fill(rule["message"], quoted(text)).replace("{length}", str(len(text))))

    def texts(self, value, schema, parts):
        """Returns each text that the parts make together, and the place that it is from."""
        texts = [("", value.place)]
        for part in parts:
            if isinstance(part, str):
                texts = [(text + part, place) for text, place in texts]
            elif "each" in part:
                names = self.each(value, part)
                texts = [(text + name, place) for text, place in texts for name in names]
            else:
                text, place = self.part(value, schema, part["property"])
                if text is None:
                    return []
                # The first property that is given is the one to change.
                texts = [(before + text, where if where != value.place else place) for before, where in texts]
        return texts

    def part(self, value, schema, name):
        if is_absent(value, name):
            return self.read(value, schema, name), value.place
        item = value.property(name)
        return (self.read(value, schema, name) if is_known(item) else UNKNOWN_TEXT), item.place

    def each(self, value, part):
        names = []
        if not is_absent(value, part["each"]) and isinstance(value.value[part["each"]], list):
            items = value.property(part["each"])
            for index, item in enumerate(items.value):
                if isinstance(item, dict) and part["property"] in item:
                    name = items.item(index, item).property(part["property"])
                    text = literal(name)
                    if text is not None and name.path not in self.refused:
                        names.append(text)
        return names

    def scopes(self, root):
        """Checks that the clients' scopes are declared."""
        rule = self.schema.get("x-scopes")
        declared = self.declared(root) if rule else None
        if declared is None or any(is_function_name(name) for name in root.value):
            return
        clients, _ = root.property("Clients").alternatives() if "Clients" in root.value else ([], True)
        if is_absent(root, "Clients") and "Clients" not in self.refused and len(declared) > rule["max"]:
            self.refuse(root.place, "Clients[0].AllowedOAuthScopes", fill(rule["message"], len(declared)))
        item_rule = self.schema["properties"]["Clients"]["items"]["properties"]["AllowedOAuthScopes"]["items"]
        for each in clients:
            for index, item in enumerate(each.value if isinstance(each.value, list) else []):
                for client in each.item(index, item).alternatives()[0]:
                    if isinstance(client.value, dict):
                        self.scopes_of_client(client, declared, rule, item_rule)

    def scopes_of_client(self, client, declared, rule, item_rule):
        if is_absent(client, "AllowedOAuthScopes"):
            is_complete = not any(is_function_name(name) for name in client.value)
            if is_complete and len(declared) > rule["max"]:
                path = f"{client.path}.AllowedOAuthScopes"
                self.refuse(client.place, path, fill(rule["message"], len(declared)))
            return
        for scopes in client.property("AllowedOAuthScopes").alternatives()[0]:
            for index, item in enumerate(scopes.value if isinstance(scopes.value, list) else []):
                for scope in scopes.item(index, item).alternatives()[0]:
                    text = literal(scope)
                    if text is not None and holds(item_rule, text) and text not in declared:
                        self.refuse(scope.place, scope.path, fill(item_rule["x-message"], quoted(text)))

    def declared(self, root):
        """Returns the declared scopes, or None if only a deployment knows them all."""
        if is_absent(root, "ResourceServers"):
            servers = self.schema["properties"]["ResourceServers"]["default"]
        else:
            servers = root.value["ResourceServers"]
        declared = []
        for server in servers if isinstance(servers, list) else [None]:
            scopes = server.get("Scopes") if isinstance(server, dict) else None
            for scope in scopes if isinstance(scopes, list) else [None]:
                if not isinstance(scope, dict):
                    return None
                parts = [server.get("Identifier"), scope.get("ScopeName")]
                texts = [literal(Value(part, [], "")) for part in parts]
                if None in texts:
                    return None
                declared.append("/".join(texts))
        return declared

    def tags(self, value, schema):
        if isinstance(value.value, dict):
            names = [name for name in value.value if not is_function_name(name)]
            # YAML has keys that are no text, such as 7.
            pairs = [(value.property(name), as_text(name), None) for name in names]
            least = sum(1 for item, _, _ in pairs if is_certain(item))
        elif isinstance(value.value, list):
            if value.value == [""]:
                return
            pairs = list(self.tags_of_list(value, schema))
            least = sum(1 for index, item in enumerate(value.value) if is_certain(value.item(index, item)))
        else:
            self.refuse(value.place, value.path, fill(schema["x-type"], kind(value.value)))
            return
        if least > schema["maxItems"]:
            self.refuse(value.place, value.path, fill(schema["x-message"], len(value.value)))
        for item, key, text in pairs:
            for rule in schema["propertyNames"]["allOf"]:
                if not holds(rule, key):
                    self.refuse(item.place, item.path, fill(rule["x-message"], quoted(key) if key else "empty"))
                    break
            values = item.alternatives()[0] if text is None else [item]
            for each in values:
                self.scalar(each, schema["additionalProperties"], text)

    def tags_of_list(self, value, schema):
        """Returns the place, key and value of each tag that is written Key=Value."""
        seen = set()
        for index, item in enumerate(value.value):
            for each in value.item(index, item).alternatives()[0]:
                text = self.text(each)
                if text is None:
                    continue
                key, separator, rest = text.partition("=")
                if not separator:
                    self.refuse(each.place, each.path, fill(schema["anyOf"][1]["items"]["x-message"], quoted(text)))
                    continue
                if each.value is item:
                    if key in seen:
                        self.refuse(each.place, each.path, fill(schema["x-unique"]["message"], quoted(key)))
                    seen.add(key)
                yield each, key, rest


def is_function_name(name):
    return isinstance(name, str) and name.startswith("Fn::")


def function(value):
    """Returns the name of the intrinsic function that a value is."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        if name == "Ref" or name == "Condition" or is_function_name(name):
            return name
    return None


def is_absent(value, name):
    """Tells whether a property is absent, whatever a deployment knows."""
    return name not in value.value or value.property(name).alternatives() == ([], True)


def is_certain(value):
    """Tells whether an entry is there whatever the conditions are."""
    kind_of_function = function(value.value)
    if kind_of_function == "Fn::If":
        branches = value.value[kind_of_function]
        if not isinstance(branches, list) or len(branches) != 3:
            return False
        return all(is_certain(Value(branch, [], "")) for branch in branches[1:])
    return not (kind_of_function == "Ref" and value.value[kind_of_function] == "AWS::NoValue")


def is_known(value):
    """Tells whether a template has the value itself: no function, and no text with a dynamic reference."""
    return value.alternatives() == ([value], True)


def literal(value):
    """Returns the text of a scalar, or None if only a deployment knows it."""
    if not is_known(value) or value.value is None or isinstance(value.value, (dict, list)):
        return None
    return as_text(value.value)


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def holds(schema, text):
    """Tells whether text keeps a schema. Its types do not matter: CloudFormation hands over every scalar as text."""
    if "minLength" in schema and len(text) < schema["minLength"] or "maxLength" in schema and len(text) > schema["maxLength"]:
        return False
    if "pattern" in schema and not pattern(schema["pattern"]).search(text):
        return False
    if "enum" in schema and text not in [as_text(each) for each in schema["enum"]]:
        return False
    if "const" in schema and text != as_text(schema["const"]):
        return False
    if "not" in schema and holds(schema["not"], text):
        return False
    return "anyOf" not in schema or any(holds(each, text) for each in schema["anyOf"])


def pattern(text):
    # In Python, a dollar sign also matches before a line feed at the end.
    return regex.compile(text[:-1] + r"\Z" if text.endswith("$") else text)


def is_text(schema, text):
    """Tells whether the provider says that text is empty, instead of printing it."""
    return text == "" and "maxLength" in schema


def fill(message, found):
    return message.replace("{found}", str(found))


def kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, list):
        return "a list"
    return "a map" if isinstance(value, dict) else "a string"


def shorten(text):
    text = str(text)
    if len(text) <= MAX_QUOTED_CHARS:
        return text
    return f"{text[:MAX_QUOTED_CHARS]}… ({len(text)} characters)"


def quoted(text):
    """Returns text on one line, as the provider prints it."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
    chars = (escapes.get(c, c if c == " " or c.isprintable() else f"\\u{{{ord(c):x}}}") for c in shorten(text))
    return f'"{"".join(chars)}"'
