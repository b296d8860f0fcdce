// parameter_table() and the Markdown made of it: what the entries say, for people.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parameter_docs.h"

#include <deque>
#include <set>

#include "evergrove/train/parameter_entries.h"

namespace evergrove::train {
namespace {

// Keeps the texts that the table's views point to.
struct Table {
  std::deque<std::string> texts;
  std::vector<ParameterInfo> infos;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

bool is_list(const ParameterEntry& entry) {
  return std::holds_alternative<std::vector<std::string> Parameters::*>(entry.member);
}

std::string_view type_name(const ParameterEntry& entry) {
  if (!entry.words.empty()) return "choice";
  if (is_list(entry)) return "list";
  return std::holds_alternative<double Parameters::*>(entry.member) ? "number" : "integer";
}

std::string choice_range(const ParameterEntry& entry) {
  std::string range;
  std::set<uint8_t> seen;
  for (const ChoiceWord& choice : entry.words) {
    if (!seen.insert(choice.value).second) continue;
    range += (range.empty() ? "" : ", ") + std::string(choice.word);
  }
  return range;
}

std::string default_text(const ParameterEntry& entry) {
  if (entry.name == "objective") return "by the label";
  if (is_list(entry)) return "by the objective";
  return parameter_text(entry, Parameters());
}

Table make_table() {
  Table table;
  for (const ParameterEntry& entry : parameter_entries()) {
    std::string range;
    if (!entry.words.empty())
      range = choice_range(entry);
    else if (!is_list(entry))
      range = range_text(entry);
    if (!entry.range_note.empty()) range += "; " + std::string(entry.range_note);
    ParameterInfo info = {.name = entry.name,
                          .type = type_name(entry),
                          .default_text = table.keep(default_text(entry)),
                          .range = table.keep(range),
                          .aliases = {},
                          .documentation = entry.documentation};
    for (const ParameterAlias& alias : entry.aliases) info.aliases.push_back(alias.name);
    table.infos.push_back(std::move(info));
  }
  return table;
}

// The other libraries' words for each value of a choice: "`leaf` (lossguide, leafwise)".
std::string other_words(const ParameterEntry& entry) {
  std::string text;
  std::set<uint8_t> seen;
  for (const ChoiceWord& choice : entry.words) {
    if (!seen.insert(choice.value).second) continue;
    std::string others;
    for (const ChoiceWord& other : entry.words) {
      if (other.value != choice.value || other.word == choice.word) continue;
      others += (others.empty() ? "" : ", ") + std::string(other.word);
    }
    text += (text.empty() ? "`" : "; `") + std::string(choice.word) + "` (" + others + ")";
  }
  return text;
}

}  // namespace

std::span<const ParameterInfo> parameter_table() {
  static const Table table = make_table();
  return table.infos;
}

std::string parameter_docs_markdown() {
  std::string text =
      "# Parameters\n"
      "\n"
      "Made from the table in `src/evergrove/train/parameter_entries.cc`; do not edit.\n"
      "\n"
      "They are given to the command as `--set name=value`, in a configuration file, or as\n"
      "arguments in Python. The names of scikit-learn, LightGBM, XGBoost and CatBoost are taken\n"
      "as well, and it is said which one is meant; -1 or None for \"no limit\" is understood.\n"
      "\n"
      "| name | type | default | range |\n"
      "|---|---|---|---|\n";
  for (const ParameterInfo& info : parameter_table()) {
    text += "| [`" + std::string(info.name) + "`](#" + std::string(info.name) + ") | " +
            std::string(info.type) + " | " + std::string(info.default_text) + " | " +
            std::string(info.range) + " |\n";
  }
  for (size_t i = 0; i < parameter_table().size(); ++i) {
    const ParameterInfo& info = parameter_table()[i];
    const ParameterEntry& entry = parameter_entries()[i];
    text += "\n## " + std::string(info.name) + "\n\n" + std::string(info.documentation) + "\n";
    if (!info.aliases.empty()) {
      text += "\nAlso called";
      for (size_t a = 0; a < info.aliases.size(); ++a) {
        text += std::string(a == 0 ? " `" : ", `") + std::string(info.aliases[a]) + "`";
        if (entry.aliases[a].conversion == Conversion::halved) text += " (twice as large)";
        if (entry.aliases[a].conversion == Conversion::one_more) text += " (one less)";
      }
      text += ".\n";
    }
    if (!entry.words.empty()) text += "\nOther words for the values: " + other_words(entry) + ".\n";
  }
  return text;
}

}  // namespace evergrove::train
