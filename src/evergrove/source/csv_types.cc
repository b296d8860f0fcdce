// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_types.h"

#include "evergrove/source/csv_date.h"
#include "evergrove/source/csv_values.h"

namespace evergrove::source {

std::optional<TypeRule> type_rule(std::string_view name) {
  if (name == "number") return TypeRule::number;
  if (name == "text") return TypeRule::text;
  if (name == "date") return TypeRule::date;
  return std::nullopt;
}

ValueKind classify(std::string_view field) {
  switch (number_shape(field)) {
    case NumberShape::integer:
      return ValueKind::integer;
    case NumberShape::decimal:
      return ValueKind::decimal;
    case NumberShape::nan:
      return ValueKind::missing;
    case NumberShape::none:
      break;
  }
  if (is_missing(without_blanks(field))) return ValueKind::missing;
  if (const auto instant = parse_date(field)) {
    return instant->has_time ? ValueKind::timestamp : ValueKind::date;
  }
  return parse_boolean(field) ? ValueKind::boolean : ValueKind::text;
}

bool fits(TypeRule rule, ValueKind kind) {
  if (kind == ValueKind::missing) return true;
  switch (rule) {
    case TypeRule::number:
      return kind == ValueKind::integer || kind == ValueKind::decimal;
    case TypeRule::date:
      return kind == ValueKind::date || kind == ValueKind::timestamp;
    case TypeRule::infer:
    case TypeRule::text:
      return true;
  }
  return true;
}

bool SeenKinds::has_only(std::initializer_list<ValueKind> kinds) const {
  SeenKinds allowed;
  for (ValueKind kind : kinds) allowed.add(kind);
  return (bits_ & ~allowed.bits_) == 0;
}

CsvType SeenKinds::type(TypeRule rule) const {
  using enum ValueKind;
  if (rule == TypeRule::text) return CsvType::text;
  if (rule == TypeRule::date) {
    return has(timestamp) || !has(date) ? CsvType::timestamp : CsvType::date;
  }
  if (has_only({missing})) return CsvType::number;
  if (has_only({missing, boolean})) return CsvType::boolean;
  if (has_only({missing, integer})) return CsvType::integer;
  if (has_only({missing, integer, decimal})) return CsvType::number;
  if (has_only({missing, date})) return CsvType::date;
  if (has_only({missing, date, timestamp})) return CsvType::timestamp;
  return CsvType::text;
}

table::ColumnKind column_kind(CsvType type) {
  return type == CsvType::text ? table::ColumnKind::categorical : table::ColumnKind::numeric;
}

std::string_view source_type(CsvType type) {
  switch (type) {
    case CsvType::boolean:
      return "CSV boolean";
    case CsvType::integer:
    case CsvType::number:
      return "CSV number";
    case CsvType::date:
    case CsvType::timestamp:
      return "CSV date";
    case CsvType::text:
      return "CSV text";
  }
  return "CSV text";
}

}  // namespace evergrove::source
