// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_column.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "evergrove/base/number_text.h"
#include "evergrove/source/csv_date.h"
#include "evergrove/source/csv_values.h"

namespace evergrove::source {

int32_t CategoryNames::code_of(std::string_view name) {
  if (names_.size() * 2 >= slots_.size()) grow();
  const auto hash = static_cast<uint32_t>(std::hash<std::string_view>()(name));
  const size_t mask = slots_.size() - 1;
  for (size_t place = hash & mask;; place = (place + 1) & mask) {
    Slot& slot = slots_[place];
    if (slot.code < 0) {
      slot = {hash, static_cast<int32_t>(names_.size())};
      names_.emplace_back(name);
      return slot.code;
    }
    if (slot.hash == hash && names_[static_cast<size_t>(slot.code)] == name) return slot.code;
  }
}

void CategoryNames::grow() {
  std::vector<Slot> old(std::max<size_t>(16, slots_.size() * 2));
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.code < 0) continue;
    size_t place = slot.hash & mask;
    while (slots_[place].code >= 0) place = (place + 1) & mask;
    slots_[place] = slot;
  }
}

CsvColumn::CsvColumn(CsvType type, bool as_categories, size_t row_count)
    : type_(type), as_categories_(as_categories || type == CsvType::text) {
  if (as_categories_) {
    codes_.reserve(row_count);
  } else {
    numbers_.reserve(row_count);
  }
}

bool CsvColumn::add(std::string_view field) {
  if (type_ == CsvType::text) {
    codes_.push_back(is_missing(field) ? -1 : names_.code_of(field));
    return true;
  }
  if (as_categories_) return add_category(field);
  const std::optional<double> value = numeric_value(type_, field);
  if (!value) return false;
  numbers_.push_back(*value);
  return true;
}

bool CsvColumn::add_category(std::string_view field) {
  // Named as category_decoder.cc names Arrow's: a column of whole numbers by all their digits.
  if (type_ == CsvType::integer) {
    if (const auto integer = parse_integer(field)) {
      codes_.push_back(number_code(static_cast<uint64_t>(*integer), *integer));
      return true;
    }
  }
  const std::optional<double> value = numeric_value(type_, field);
  if (!value) return false;
  if (std::isnan(*value)) {
    codes_.push_back(-1);
  } else if (type_ == CsvType::boolean) {
    codes_.push_back(names_.code_of(*value != 0 ? "true" : "false"));
  } else {
    const double unsigned_zero = *value == 0 ? 0 : *value;
    codes_.push_back(number_code(std::bit_cast<uint64_t>(unsigned_zero), unsigned_zero));
  }
  return true;
}

template <typename Number>
int32_t CsvColumn::number_code(uint64_t bits, Number number) {
  const auto [place, is_new] = code_of_number_.try_emplace(bits, 0);
  if (is_new) place->second = names_.code_of(number_text(number));
  return place->second;
}

table::ColumnValues CsvColumn::finish() && {
  if (as_categories_) return table::ColumnValues::of(std::move(codes_), names_.take());
  return table::ColumnValues::of(std::move(numbers_));
}

std::optional<double> numeric_value(CsvType type, std::string_view field) {
  switch (type) {
    case CsvType::integer:
    case CsvType::number:
      if (const auto number = parse_number(field)) return number;
      break;
    case CsvType::boolean:
      if (const auto boolean = parse_boolean(field)) return *boolean ? 1 : 0;
      break;
    case CsvType::date:
    case CsvType::timestamp:
      if (const auto instant = parse_date(field)) return epoch_seconds(*instant);
      break;
    case CsvType::text:
      break;
  }
  // Missing words, and nan in any case, which a column of dates may hold as well.
  if (classify(field) == ValueKind::missing) return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

}  // namespace evergrove::source
