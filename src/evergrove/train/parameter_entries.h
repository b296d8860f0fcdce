// The parameter table as code sees it: for each parameter its member, range, words and aliases.
// parameter_table() of parameters.h shows the same to people.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "evergrove/train/parameters.h"

namespace evergrove::train {

using ParameterMember =
    std::variant<int64_t Parameters::*, double Parameters::*, uint64_t Parameters::*,
                 Growth Parameters::*, model::ObjectiveKind Parameters::*,
                 std::vector<std::string> Parameters::*>;

// What another library's number must become to mean the same here.
enum class Conversion : uint8_t {
  same,
  halved,    // gains that are G^2/H elsewhere are half of it here, the real loss reduction
  one_more,  // borders to bins
};

struct ParameterAlias {
  std::string_view name;
  Conversion conversion = Conversion::same;
};

// A word for one value of a choice. The first word of each value is its name here.
struct ChoiceWord {
  std::string_view word;
  uint8_t value = 0;
};

struct ParameterEntry {
  std::string_view name;
  ParameterMember member;
  std::string_view documentation;
  std::vector<ParameterAlias> aliases = {};
  // Numbers: low to high, both included unless low_is_open.
  double low = 0;
  double high = 0;
  bool low_is_open = false;
  bool may_be_unset = false;           // base_score: NaN, written as "auto" or null
  double unlimited = -1;               // >= 0: the value that -1, 0 and "none" stand for
  std::string_view range_note = {};    // for people, after the range
  std::vector<ChoiceWord> words = {};  // choices
  bool may_differ_on_resume = false;
};

std::span<const ParameterEntry> parameter_entries();

// A name of another library that is not a parameter here, and what to do about it.
struct ForeignName {
  std::string_view name;
  std::string_view advice;
};
std::span<const ForeignName> foreign_names();

// The value as set_parameter() takes it: the shortest decimals that read back as the same number;
// lists joined by commas; "auto" when unset.
std::string parameter_text(const ParameterEntry& entry, const Parameters& parameters);

// Sets a value from text by the entry's own words, without another library's translations.
Status set_by_entry(const ParameterEntry& entry, Parameters& parameters, std::string_view text);

// A number's range for people, such as "2 to 65,535".
std::string range_text(const ParameterEntry& entry);

// Checks one parameter's range.
Status check_entry(const ParameterEntry& entry, const Parameters& parameters);

}  // namespace evergrove::train
