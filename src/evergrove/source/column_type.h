// What an Arrow type is to us: a number, a time (a number of seconds), text, or nothing usable.
//
// Numbers are integers and floats of all widths, decimals and booleans; times are dates,
// timestamps (of any zone, as UTC), times of day and durations; text is strings and binary. A
// dictionary is what its values are. Lists, structs, maps and the like cannot be used.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "evergrove/source/open.h"
#include "evergrove/table/row_source.h"

namespace arrow {
class DataType;
class Field;
}  // namespace arrow

namespace evergrove::source {

enum class ValueClass : uint8_t { number, time, text, null, unusable };

ValueClass value_class(const arrow::DataType& type);

// "numbers", "times", ..., for messages.
std::string value_class_text(ValueClass value_class);

// Describes the field; as a category if it is text or options.categorical names it.
table::ColumnSpec column_spec(const arrow::Field& field, const OpenOptions& options);

}  // namespace evergrove::source
