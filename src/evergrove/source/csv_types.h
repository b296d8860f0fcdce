// CsvType: what type a CSV column has, inferred from all of its values.
//
// Each value shows a kind (classify()); a column's type follows from the set of kinds seen, so it
// is the same for any order of rows and any cut of the file:
//
//   only true/false                     -> boolean
//   only whole numbers                  -> integer
//   numbers of any shape                -> number   (also when every value is missing)
//   only dates                          -> date
//   dates and times                     -> timestamp
//   anything else, and any mixture      -> text
//
// A TypeRule stands in for inference where the user names a type; a value that does not fit it is
// for the caller to refuse.
//
//   SeenKinds seen;
//   for (std::string_view field : column) seen.add(classify(field));
//   CsvType type = seen.type();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "evergrove/table/row_source.h"

namespace evergrove::source {

enum class CsvType : uint8_t { boolean, integer, number, date, timestamp, text };

enum class ValueKind : uint8_t { missing, boolean, integer, decimal, date, timestamp, text };

enum class TypeRule : uint8_t { infer, number, text, date };

// "number", "text" or "date"; nothing for another name.
std::optional<TypeRule> type_rule(std::string_view name);

// The kind of one value, by its text alone. Blanks around it count for text only; see csv_values.h
// for what is missing and what is a number.
ValueKind classify(std::string_view field);

// True when a value of that kind may stand in a column with that rule.
bool fits(TypeRule rule, ValueKind kind);

class SeenKinds {
 public:
  void add(ValueKind kind) { bits_ |= static_cast<uint8_t>(1u << static_cast<unsigned>(kind)); }
  void add(SeenKinds other) { bits_ |= other.bits_; }
  // True when the column is text whatever else will be seen.
  bool must_be_text() const { return has(ValueKind::text); }
  CsvType type(TypeRule rule = TypeRule::infer) const;

 private:
  bool has(ValueKind kind) const { return (bits_ >> static_cast<unsigned>(kind)) & 1u; }
  bool has_only(std::initializer_list<ValueKind> kinds) const;

  uint8_t bits_ = 0;
};

// Text is served as categories, all else as numbers.
table::ColumnKind column_kind(CsvType type);
// As ColumnSpec::source_type says it: "CSV number", "CSV text", "CSV date", "CSV boolean".
std::string_view source_type(CsvType type);

}  // namespace evergrove::source
