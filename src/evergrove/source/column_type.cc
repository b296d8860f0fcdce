// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/column_type.h"

#include <arrow/api.h>
#include <arrow/extension_type.h>

#include <algorithm>

namespace evergrove::source {

ValueClass value_class(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::NA:
      return ValueClass::null;
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return ValueClass::number;
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::DURATION:
      return ValueClass::time;
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
      return ValueClass::text;
    case arrow::Type::DICTIONARY: {
      const auto& values = *static_cast<const arrow::DictionaryType&>(type).value_type();
      const bool nested = values.id() == arrow::Type::DICTIONARY;
      return nested ? ValueClass::unusable : value_class(values);
    }
    case arrow::Type::EXTENSION:
      return value_class(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return ValueClass::unusable;
  }
}

std::string value_class_text(ValueClass value_class) {
  switch (value_class) {
    case ValueClass::number:
      return "numbers";
    case ValueClass::time:
      return "times";
    case ValueClass::text:
      return "text";
    case ValueClass::null:
      return "nothing but nulls";
    case ValueClass::unusable:
      return "nested or other values";
  }
  return {};
}

table::ColumnSpec column_spec(const arrow::Field& field, const OpenOptions& options) {
  const ValueClass values = value_class(*field.type());
  const bool chosen = std::find(options.categorical.begin(), options.categorical.end(),
                                field.name()) != options.categorical.end();
  table::ColumnSpec spec;
  spec.name = field.name();
  spec.kind = values == ValueClass::text || chosen ? table::ColumnKind::categorical
                                                   : table::ColumnKind::numeric;
  spec.source_type = field.type()->ToString();
  spec.usable = values != ValueClass::unusable;
  return spec;
}

}  // namespace evergrove::source
