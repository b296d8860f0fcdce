// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/config_file.h"

#include <array>
#include <charconv>

#include "evergrove/base/toml_parser.h"
#include "evergrove/cli/whole_number.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/train/edit_distance.h"

namespace evergrove::cli {
namespace {

constexpr std::array<std::string_view, 17> kKeys = {
    "data",    "label",       "objective", "valid", "valid_fraction", "weight",
    "exclude", "categorical", "types",     "seed",  "threads",        "log",
    "resume",  "model",       "memory",    "cache", "parameters"};

// Reads one document; the first thing that is wrong is kept and ends the rest.
class ConfigReader {
 public:
  ConfigReader(const toml::table& table, std::string_view name) : table_(table), name_(name) {}

  Status status() const { return status_; }

  void check_keys() {
    for (const auto& [key, node] : table_) {
      const std::string_view typed = key.str();
      if (std::find(kKeys.begin(), kKeys.end(), typed) != kKeys.end()) continue;
      if (!train::parameter_name(typed).empty()) {
        return fail("This is a parameter; put it under [parameters]", typed);
      }
      return fail("There is no such key; did you mean " +
                      std::string(kKeys[train::nearest(typed, kKeys)]) + "?",
                  typed);
    }
  }
  void text(std::string_view key, std::string& value) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (!node->is_string()) return fail("The key takes text in quotes", key);
    if (value.empty()) value = node->as_string()->get();
  }
  void texts(std::string_view key, std::vector<std::string>& values) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    std::vector<std::string> found;
    if (!to_texts(*node, found)) return fail("The key takes text or a list of texts", key);
    if (values.empty()) values = std::move(found);
  }
  // A list of texts is one set; a list of lists is several.
  void sets(std::string_view key, std::vector<std::vector<std::string>>& values) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    std::vector<std::vector<std::string>> found;
    const toml::array* array = node->as_array();
    if (array != nullptr && !array->empty() && array->front().is_array()) {
      for (const toml::node& item : *array) {
        if (!to_texts(item, found.emplace_back())) return fail("The key takes paths", key);
      }
    } else if (!to_texts(*node, found.emplace_back())) {
      return fail("The key takes a path, a list of paths, or a list of such lists", key);
    }
    if (values.empty()) values = std::move(found);
  }
  template <typename Number>
  void number(std::string_view key, std::optional<Number>& value) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const std::optional<Number> found = node->value_exact<Number>();
    if (!found) return fail("The key takes a number of its range", key);
    if (!value) value = found;
  }
  void flag(std::string_view key, bool& value) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (!node->is_boolean()) return fail("The key takes true or false", key);
    value = value || node->as_boolean()->get();
  }
  // name = value of a table, as name=value.
  void pairs(std::string_view key, std::vector<std::string>& before) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (!node->is_table()) {
      return fail("The key is a table: [" + std::string(key) + "] and a line name = value each",
                  key);
    }
    std::vector<std::string> found;
    for (const auto& [name, value] : *node->as_table()) {
      std::string text;
      if (!to_setting(value, text)) {
        return fail("The key takes a number, a text or a list of texts",
                    std::string(key) + "." + std::string(name.str()));
      }
      found.push_back(std::string(name.str()) + "=" + text);
    }
    before.insert(before.begin(), found.begin(), found.end());
  }

 private:
  static bool to_texts(const toml::node& node, std::vector<std::string>& texts) {
    if (node.is_string()) {
      texts.push_back(node.as_string()->get());
      return true;
    }
    if (!node.is_array()) return false;
    for (const toml::node& item : *node.as_array()) {
      if (!item.is_string()) return false;
      texts.push_back(item.as_string()->get());
    }
    return true;
  }
  static bool to_setting(const toml::node& node, std::string& text) {
    if (const auto* integer = node.as_integer()) {
      text = std::to_string(integer->get());
      return true;
    }
    if (const auto* number = node.as_floating_point()) {
      char digits[64];
      const auto end = std::to_chars(digits, digits + sizeof digits, number->get()).ptr;
      text.assign(digits, end);
      return true;
    }
    if (const auto* flag = node.as_boolean()) {
      text = flag->get() ? "true" : "false";
      return true;
    }
    std::vector<std::string> texts;
    if (!to_texts(node, texts)) return false;
    for (const std::string& one : texts) text += (text.empty() ? "" : ",") + one;
    return true;
  }
  void fail(std::string_view sentence, std::string_view key) {
    if (!status_.ok()) return;
    status_ = invalid_input(sentence, {{"key", std::string(key)}, {"file", std::string(name_)}});
  }

  const toml::table& table_;
  std::string_view name_;
  Status status_;
};

}  // namespace

Status apply_config(std::string_view text, std::string_view name, TrainOptions& options) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    return invalid_input("The configuration is not TOML; mend this line: " +
                             std::string(parsed.error().description()),
                         {{"file", std::string(name)},
                          {"line", std::to_string(parsed.error().source().begin.line)}});
  }
  ConfigReader reader(parsed.table(), name);
  reader.check_keys();
  reader.texts("data", options.data);
  reader.text("label", options.label);
  reader.text("objective", options.objective);
  reader.sets("valid", options.valid);
  reader.number("valid_fraction", options.valid_fraction);
  reader.text("weight", options.weight);
  reader.texts("exclude", options.exclude);
  reader.texts("categorical", options.categorical);
  reader.pairs("types", options.column_types);
  std::optional<int64_t> seed;
  std::optional<int64_t> threads;
  reader.number("seed", seed);
  reader.number("threads", threads);
  reader.text("log", options.log);
  reader.text("memory", options.memory);
  reader.text("cache", options.cache);
  reader.flag("resume", options.resume);
  reader.text("model", options.model);
  reader.pairs("parameters", options.settings);
  EVERGROVE_RETURN_IF_ERROR(reader.status());
  if (seed && *seed < 0) {
    return invalid_input("seed must be 0 or more",
                         {{"value", std::to_string(*seed)}, {"file", std::string(name)}});
  }
  if (threads && (*threads < 1 || *threads > static_cast<int64_t>(kThreadsMax))) {
    return invalid_input("threads must be a number from 1 to " + std::to_string(kThreadsMax),
                         {{"value", std::to_string(*threads)}, {"file", std::string(name)}});
  }
  if (seed && !options.seed) options.seed = static_cast<uint64_t>(*seed);
  if (threads && !options.threads) options.threads = static_cast<int>(*threads);
  return {};
}

Status apply_config_file(TrainOptions& options) {
  const Result<std::string> text = runtime::read_file(options.config);
  if (!text.ok()) return text.status().with_context("The configuration");
  return apply_config(*text, options.config, options);
}

}  // namespace evergrove::cli
