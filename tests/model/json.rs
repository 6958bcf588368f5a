//! Reading JSON, as little of it as proves that a text is valid and what it says.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of a text that has nothing else in it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let value = reader.value()?;
        if reader.rest.is_empty() { Ok(value) } else { Err(reader.wrong("the end")) }
    }

    /// A member of an object, which has it once.
    pub fn get(&self, name: &str) -> &Self {
        let Self::Object(members) = self else { panic!("{self:?} is no object") };
        let mut found = members.iter().filter(|(member, _)| member == name);
        let (value, more) = (found.next(), found.next());
        assert!(more.is_none(), "{name} is there twice");
        &value.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    pub fn list(&self) -> &[Self] {
        let Self::List(list) = self else { panic!("{self:?} is no list") };
        list
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, wanted: &str) -> String {
        format!("{wanted} expected before {:?}", self.rest.chars().take(20).collect::<String>())
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn needs(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(self.wrong(token)) }
    }

    fn value(&mut self) -> Result<Json, String> {
        for (token, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
            if self.takes(token) {
                return Ok(value);
            }
        }
        if self.takes("[") {
            return self.many("]", Self::value).map(Json::List);
        }
        if self.takes("{") {
            let member = |reader: &mut Self| {
                let name = reader.text()?;
                reader.needs(":")?;
                Ok((name, reader.value()?))
            };
            return self.many("}", member).map(Json::Object);
        }
        if self.rest.starts_with('"') { self.text().map(Json::Text) } else { self.number() }
    }

    fn many<T>(&mut self, end: &str, mut one: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut all = Vec::new();
        if self.takes(end) {
            return Ok(all);
        }
        loop {
            all.push(one(self)?);
            if self.takes(end) {
                return Ok(all);
            }
            self.needs(",")?;
        }
    }

    fn text(&mut self) -> Result<String, String> {
        self.needs("\"")?;
        let plain = |c: &char| *c != '"' && *c != '\\' && !c.is_control();
        let text: String = self.rest.chars().take_while(plain).collect();
        self.rest = &self.rest[text.len()..];
        self.needs("\"")?;
        Ok(text)
    }

    fn number(&mut self) -> Result<Json, String> {
        let digits: String = self.rest.chars().take_while(char::is_ascii_digit).collect();
        let leading = digits.len() > 1 && digits.starts_with('0');
        let number = digits.parse().map_err(|_| self.wrong("a value"))?;
        self.rest = &self.rest[digits.len()..];
        if leading { Err(self.wrong("a number without leading zeroes")) } else { Ok(Json::Number(number)) }
    }
}

#[cfg(test)]
mod tests {
    use super::Json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\"}", "01", "[1 2]", "{\"a\":1}}", "\"a\n\"", "nul"] {
            assert!(Json::read(text).is_err(), "{text:?} was read");
        }
        let value = Json::read("{\"a\":[1,\"x\",true],\"b\":{}}").expect("valid");
        assert_eq!(value.get("a").list(), [Json::Number(1), Json::Text("x".into()), Json::Bool(true)]);
        assert_eq!(value.get("b"), &Json::Object(Vec::new()));
    }
}
