// Values of parameters from text, to text, and their ranges.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "evergrove/base/lower_case.h"
#include "evergrove/train/metrics.h"
#include "evergrove/train/parameter_entries.h"

namespace evergrove::train {
namespace {

template <typename Number>
std::string number_text(Number value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// Whole numbers may also be written as 1e6 or 100.0.
template <typename Integer>
bool read_integer(std::string_view text, Integer& value) {
  if (read_number(text, value)) return true;
  double number = 0;
  if (!read_number(text, number) || number != std::floor(number)) return false;
  if (std::fabs(number) > 9007199254740992.0) return false;  // 2^53
  if (std::is_unsigned_v<Integer> && number < 0) return false;
  value = static_cast<Integer>(number);
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// A limit for people: with commas, and the last 64-bit number by its name.
std::string limit_text(double limit) {
  if (limit >= 0x1p64) return "2^64 - 1";
  std::string text = number_text(limit);
  if (text.find_first_not_of("0123456789") != std::string::npos) return text;
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

Status bad_value(const ParameterEntry& entry, std::string_view expected, std::string_view text) {
  return invalid_input("Parameter " + std::string(entry.name) + " must be " +
                           std::string(expected) + "; change its value",
                       {{"value", std::string(text)}});
}

std::vector<std::string> read_list(std::string_view text) {
  std::vector<std::string> items;
  // Python's and TOML's way of writing a list is taken as well.
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = trimmed(text.substr(0, comma));
    if (item.size() >= 2 && item.front() == item.back() &&
        (item.front() == '\'' || item.front() == '"')) {
      item = item.substr(1, item.size() - 2);
    }
    if (!item.empty()) items.push_back(canonical_metric_name(lower_case(item)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

template <typename Enum>
Status read_choice(const ParameterEntry& entry, std::string_view text, Enum& value) {
  const std::string word = lower_case(text);
  std::string names;
  uint8_t next_value = 0;
  for (const ChoiceWord& choice : entry.words) {
    if (choice.word == word) {
      value = static_cast<Enum>(choice.value);
      return Status();
    }
    if (choice.value == next_value) {
      names += (names.empty() ? "" : ", ") + std::string(choice.word);
      ++next_value;
    }
  }
  return bad_value(entry, "one of " + names, text);
}

template <typename Enum>
std::string choice_text(const ParameterEntry& entry, Enum value) {
  for (const ChoiceWord& choice : entry.words) {
    if (static_cast<Enum>(choice.value) == value) return std::string(choice.word);
  }
  return number_text(static_cast<int>(value));
}

}  // namespace

std::string range_text(const ParameterEntry& entry) {
  const std::string low = limit_text(entry.low);
  return (entry.low_is_open ? "more than " + low + ", at most " : low + " to ") +
         limit_text(entry.high);
}

std::string parameter_text(const ParameterEntry& entry, const Parameters& parameters) {
  return std::visit(
      [&](auto member) -> std::string {
        const auto& value = parameters.*member;
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_enum_v<Value>) {
          return choice_text(entry, value);
        } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
          std::string text;
          for (const std::string& item : value) text += (text.empty() ? "" : ",") + item;
          return text;
        } else if constexpr (std::is_same_v<Value, double>) {
          return entry.may_be_unset && std::isnan(value) ? "auto" : number_text(value);
        } else {
          return number_text(value);
        }
      },
      entry.member);
}

Status set_by_entry(const ParameterEntry& entry, Parameters& parameters, std::string_view text) {
  text = trimmed(text);
  return std::visit(
      [&](auto member) -> Status {
        auto& value = parameters.*member;
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_enum_v<Value>) {
          return read_choice(entry, text, value);
        } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
          value = read_list(text);
          return Status();
        } else {
          const std::string word = lower_case(text);
          if constexpr (std::is_same_v<Value, double>) {
            if (entry.may_be_unset && (word == "auto" || word == "nan")) {
              value = std::numeric_limits<double>::quiet_NaN();
              return Status();
            }
          }
          Value read = 0;
          bool is_read = false;
          if constexpr (std::is_same_v<Value, double>)
            is_read = read_number(text, read);
          else
            is_read = read_integer(text, read);
          if (!is_read) {
            const bool is_whole = !std::is_same_v<Value, double>;
            return bad_value(
                entry, (is_whole ? "a whole number, " : "a number, ") + range_text(entry), text);
          }
          const Value before = value;
          value = read;
          Status status = check_entry(entry, parameters);
          if (!status.ok()) value = before;
          return status;
        }
      },
      entry.member);
}

Status check_entry(const ParameterEntry& entry, const Parameters& parameters) {
  return std::visit(
      [&](auto member) -> Status {
        const auto& value = parameters.*member;
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_enum_v<Value>) {
          for (const ChoiceWord& choice : entry.words) {
            if (static_cast<Value>(choice.value) == value) return Status();
          }
          return bad_value(entry, "a known choice", parameter_text(entry, parameters));
        } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
          return Status();
        } else {
          if constexpr (std::is_same_v<Value, double>) {
            if (std::isnan(value) && entry.may_be_unset) return Status();
          }
          const double number = static_cast<double>(value);
          const bool fits = number >= entry.low && number <= entry.high &&
                            !(entry.low_is_open && number == entry.low);
          if (fits) return Status();
          return bad_value(entry, range_text(entry), parameter_text(entry, parameters));
        }
      },
      entry.member);
}

}  // namespace evergrove::train
