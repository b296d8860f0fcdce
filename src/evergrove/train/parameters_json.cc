// Parameters as JSON: one flat object in table order, numbers in their shortest exact form.
//
// The reader takes what the writer and people write: an object of strings, numbers, null and lists
// of strings; anything nested is refused. A parameter that is missing has its default, so that an
// older version's JSON can be read; one that is not known is refused.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <string>

#include "evergrove/train/parameter_entries.h"

namespace evergrove::train {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      result += "\\u00";
      result += kHex[c >> 4];
      result += kHex[c & 15];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string value_json(const ParameterEntry& entry, const Parameters& parameters) {
  if (const auto* list = std::get_if<std::vector<std::string> Parameters::*>(&entry.member)) {
    std::string json = "[";
    for (const std::string& item : parameters.**list) {
      json += (json.size() > 1 ? ", " : "") + quoted(item);
    }
    return json + "]";
  }
  const std::string text = parameter_text(entry, parameters);
  if (text == "auto") return "null";
  return entry.words.empty() ? text : quoted(text);
}

// Reads JSON text token by token; after a failure, ok() is false and everything is empty.
class JsonReader {
 public:
  explicit JsonReader(std::string_view json) : json_(json) {}

  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  bool at_end() {
    skip_space();
    return ok_ && position_ == json_.size();
  }
  bool take(char c) {
    skip_space();
    if (!ok_ || position_ == json_.size() || json_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) ok_ = false;
  }
  bool next_is(char c) {
    skip_space();
    return ok_ && position_ < json_.size() && json_[position_] == c;
  }
  std::string string() {
    expect('"');
    std::string value;
    while (ok_ && position_ < json_.size() && json_[position_] != '"') {
      char c = json_[position_++];
      if (c == '\\') c = escaped();
      value += c;
    }
    if (!ok_ || position_ == json_.size()) return fail();
    ++position_;
    return value;
  }
  // A number or a word such as null, as its text.
  std::string bare_word() {
    skip_space();
    const size_t start = position_;
    while (position_ < json_.size() &&
           std::string_view(",]} \t\r\n").find(json_[position_]) == std::string_view::npos) {
      ++position_;
    }
    if (start == position_) return fail();
    return std::string(json_.substr(start, position_ - start));
  }

 private:
  std::string fail() {
    ok_ = false;
    return "";
  }
  void skip_space() {
    while (position_ < json_.size() &&
           std::string_view(" \t\r\n").find(json_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }
  char escaped() {
    if (position_ == json_.size()) return fail(), 0;
    const char c = json_[position_++];
    switch (c) {
      case '"':
      case '\\':
      case '/':
        return c;
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'u':
        return control_character();
      default:
        ok_ = false;
        return 0;  // no parameter's value has other escapes
    }
  }
  // The four hexadecimal digits after \u, of which only control characters are taken: all else
  // stands for itself.
  char control_character() {
    const std::string_view digits = json_.substr(position_, 4);
    unsigned value = 0x80;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
    if (digits.size() < 4 || end != digits.data() + 4 || value >= 0x80) return fail(), 0;
    position_ += 4;
    return static_cast<char>(value);
  }

  std::string_view json_;
  size_t position_ = 0;
  bool ok_ = true;
};

Status read_value(const ParameterEntry& entry, JsonReader& in, Parameters& parameters) {
  if (const auto* list = std::get_if<std::vector<std::string> Parameters::*>(&entry.member)) {
    in.expect('[');
    std::vector<std::string> items;
    if (!in.take(']')) {
      do items.push_back(in.string());
      while (in.take(','));
      in.expect(']');
    }
    parameters.** list = std::move(items);
    return Status();
  }
  const bool is_string = in.next_is('"');
  std::string text = is_string ? in.string() : in.bare_word();
  if (!in.ok()) return Status();  // from_json() says where
  if (text == "null" && entry.may_be_unset) text = "auto";
  return set_by_entry(entry, parameters, text);
}

}  // namespace

std::string to_json(const Parameters& parameters) {
  std::string json = "{";
  for (const ParameterEntry& entry : parameter_entries()) {
    if (json.size() > 1) json += ", ";
    json += quoted(entry.name) + ": " + value_json(entry, parameters);
  }
  return json + "}";
}

Result<Parameters> from_json(std::string_view json) {
  JsonReader in(json);
  Parameters parameters;
  std::vector<std::string> seen;
  in.expect('{');
  if (!in.take('}')) {
    do {
      const std::string name = in.string();
      in.expect(':');
      if (!in.ok()) break;
      const auto entries = parameter_entries();
      const auto entry = std::find_if(entries.begin(), entries.end(),
                                      [&](const ParameterEntry& e) { return e.name == name; });
      if (entry == entries.end()) {
        return unsupported(
            "The parameters name one that this version does not know; use a newer one",
            {{"parameter", name}});
      }
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
        return corrupt("The parameters name one twice", {{"parameter", name}});
      }
      seen.push_back(name);
      EVERGROVE_RETURN_IF_ERROR(read_value(*entry, in, parameters));
    } while (in.ok() && in.take(','));
    in.expect('}');
  }
  if (!in.at_end()) {
    return corrupt("The parameters are not a flat JSON object",
                   {{"position", std::to_string(in.position())}});
  }
  return parameters;
}

}  // namespace evergrove::train
