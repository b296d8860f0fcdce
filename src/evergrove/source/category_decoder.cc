// Arrow text, and numbers that are to be categories, as codes.
//
// A coder gives the code of the value at a place of an array and keeps the names. Plain arrays ask
// it row by row; dictionary arrays ask it once for each entry that a row has, so that a block of
// few rows with a huge dictionary costs its rows and not the dictionary.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/float16.h>

#include <bit>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "evergrove/base/number_text.h"
#include "evergrove/source/column_decoder.h"
#include "evergrove/source/column_type.h"
#include "evergrove/source/csv_utf8.h"

namespace evergrove::source {
namespace {

constexpr int32_t kMissing = -1;
constexpr int32_t kNotAsked = -2;

class Names {
 public:
  // Adds names that are known to be distinct, such as those of distinct numbers of one type.
  int32_t code_of_number(uint64_t bits, auto make_name) {
    const auto [found, added] = numbers_.try_emplace(bits, next());
    if (added) names_.push_back(make_name());
    return found->second;
  }
  // The text must stay in place until take().
  int32_t code_of_text(std::string_view text) {
    const auto [found, added] = texts_.try_emplace(text, next());
    if (added) {
      all_utf8_ = all_utf8_ && is_utf8(text);
      names_.emplace_back(text);
    }
    return found->second;
  }
  bool all_utf8() const { return all_utf8_; }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  int32_t next() const { return static_cast<int32_t>(names_.size()); }

  std::unordered_map<uint64_t, int32_t> numbers_;
  std::unordered_map<std::string_view, int32_t> texts_;
  std::vector<std::string> names_;
  bool all_utf8_ = true;
};

template <typename ArrayType>
int32_t text_code(const arrow::Array& array, int64_t i, Names& names) {
  return names.code_of_text(static_cast<const ArrayType&>(array).GetView(i));
}

template <typename ArrayType>
int32_t integer_code(const arrow::Array& array, int64_t i, Names& names) {
  const auto value = static_cast<const ArrayType&>(array).Value(i);
  using Wide = std::conditional_t<std::is_signed_v<decltype(value)>, int64_t, uint64_t>;
  return names.code_of_number(static_cast<uint64_t>(value),
                              [value] { return number_text(Wide{value}); });
}

template <typename Number>
int32_t floating_code(Number value, Names& names) {
  if (std::isnan(value)) return kMissing;
  const Number unsigned_zero = value == 0 ? Number{0} : value;
  return names.code_of_number(std::bit_cast<uint64_t>(double{unsigned_zero}),
                              [value] { return number_text(value); });
}

int32_t float_code(const arrow::Array& array, int64_t i, Names& names) {
  return floating_code(static_cast<const arrow::FloatArray&>(array).Value(i), names);
}
int32_t double_code(const arrow::Array& array, int64_t i, Names& names) {
  return floating_code(static_cast<const arrow::DoubleArray&>(array).Value(i), names);
}
int32_t half_code(const arrow::Array& array, int64_t i, Names& names) {
  const uint16_t bits = static_cast<const arrow::HalfFloatArray&>(array).Value(i);
  return floating_code(arrow::util::Float16::FromBits(bits).ToFloat(), names);
}
int32_t boolean_code(const arrow::Array& array, int64_t i, Names& names) {
  return names.code_of_text(static_cast<const arrow::BooleanArray&>(array).Value(i) ? "true"
                                                                                    : "false");
}

// The code of the value at place i, which is not null.
using Coder = int32_t (*)(const arrow::Array& array, int64_t i, Names& names);

// Null for types that first become doubles: decimals and times.
Coder coder_of(arrow::Type::type type) {
  switch (type) {
    case arrow::Type::STRING:
      return text_code<arrow::StringArray>;
    case arrow::Type::LARGE_STRING:
      return text_code<arrow::LargeStringArray>;
    case arrow::Type::STRING_VIEW:
      return text_code<arrow::StringViewArray>;
    case arrow::Type::BINARY:
      return text_code<arrow::BinaryArray>;
    case arrow::Type::LARGE_BINARY:
      return text_code<arrow::LargeBinaryArray>;
    case arrow::Type::BINARY_VIEW:
      return text_code<arrow::BinaryViewArray>;
    case arrow::Type::BOOL:
      return boolean_code;
    case arrow::Type::INT8:
      return integer_code<arrow::Int8Array>;
    case arrow::Type::INT16:
      return integer_code<arrow::Int16Array>;
    case arrow::Type::INT32:
      return integer_code<arrow::Int32Array>;
    case arrow::Type::INT64:
      return integer_code<arrow::Int64Array>;
    case arrow::Type::UINT8:
      return integer_code<arrow::UInt8Array>;
    case arrow::Type::UINT16:
      return integer_code<arrow::UInt16Array>;
    case arrow::Type::UINT32:
      return integer_code<arrow::UInt32Array>;
    case arrow::Type::UINT64:
      return integer_code<arrow::UInt64Array>;
    case arrow::Type::HALF_FLOAT:
      return half_code;
    case arrow::Type::FLOAT:
      return float_code;
    case arrow::Type::DOUBLE:
      return double_code;
    default:
      return nullptr;
  }
}

// As doubles, for types without a coder of their own. Null values are NaN, which has no code.
Result<std::shared_ptr<arrow::Array>> as_doubles(const arrow::Array& array) {
  auto values = std::make_shared<std::vector<double>>(array.length());
  EVERGROVE_RETURN_IF_ERROR(write_numbers(array, values->data()));
  return std::shared_ptr<arrow::Array>(std::make_shared<arrow::DoubleArray>(
      array.length(), arrow::Buffer::FromVector(std::move(*values))));
}

Status write_codes(std::shared_ptr<arrow::Array> array, Names& names,
                   std::vector<std::shared_ptr<arrow::Array>>& kept, int32_t* out);

Status write_dictionary_codes(const arrow::DictionaryArray& array, Names& names,
                              std::vector<std::shared_ptr<arrow::Array>>& kept, int32_t* out) {
  std::shared_ptr<arrow::Array> dictionary = array.dictionary();
  if (dictionary->type_id() == arrow::Type::EXTENSION) {
    dictionary = static_cast<const arrow::ExtensionArray&>(*dictionary).storage();
  }
  Coder coder = coder_of(dictionary->type_id());
  if (coder == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(dictionary, as_doubles(*dictionary));
    coder = double_code;
  }
  kept.push_back(dictionary);
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, dictionary_indices(array));
  std::vector<int32_t> code_of_entry(dictionary->length(), kNotAsked);
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0) {
      out[i] = kMissing;
      continue;
    }
    int32_t& code = code_of_entry[indices[i]];
    if (code == kNotAsked) {
      code = dictionary->IsNull(indices[i]) ? kMissing : coder(*dictionary, indices[i], names);
    }
    out[i] = code;
  }
  return {};
}

Status write_codes(std::shared_ptr<arrow::Array> array, Names& names,
                   std::vector<std::shared_ptr<arrow::Array>>& kept, int32_t* out) {
  if (array->type_id() == arrow::Type::EXTENSION) {
    return write_codes(static_cast<const arrow::ExtensionArray&>(*array).storage(), names, kept,
                       out);
  }
  if (array->type_id() == arrow::Type::DICTIONARY) {
    return write_dictionary_codes(static_cast<const arrow::DictionaryArray&>(*array), names, kept,
                                  out);
  }
  Coder coder = coder_of(array->type_id());
  if (coder == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(array, as_doubles(*array));
    coder = double_code;
  }
  for (int64_t i = 0; i < array->length(); ++i) {
    out[i] = array->IsNull(i) ? kMissing : coder(*array, i, names);
  }
  kept.push_back(std::move(array));
  return {};
}

}  // namespace

Result<std::vector<int64_t>> dictionary_indices(const arrow::Array& array) {
  const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
  const int64_t entry_count = encoded.dictionary()->length();
  std::vector<int64_t> indices(array.length());
  for (int64_t i = 0; i < array.length(); ++i) {
    indices[i] = array.IsNull(i) ? -1 : encoded.GetValueIndex(i);
    if (indices[i] >= entry_count || (indices[i] < 0 && array.IsValid(i))) {
      return corrupt("A dictionary column points beyond its dictionary; write the data anew",
                     {{"index", std::to_string(encoded.GetValueIndex(i))},
                      {"entries", std::to_string(entry_count)}});
    }
  }
  return indices;
}

Result<table::ColumnValues> decode_categories(const arrow::ChunkedArray& column,
                                              const table::ColumnSpec& spec) {
  std::vector<int32_t> codes(column.length());
  Names names;
  std::vector<std::shared_ptr<arrow::Array>> kept;  // what names' texts point into
  int32_t* out = codes.data();
  for (const auto& chunk : column.chunks()) {
    EVERGROVE_RETURN_IF_ERROR(
        write_codes(chunk, names, kept, out).with_context("column " + spec.name));
    out += chunk->length();
  }
  if (!names.all_utf8()) {
    return invalid_input("A text column holds bytes that are not UTF-8; exclude it or fix it",
                         {{"column", spec.name}, {"type", spec.source_type}});
  }
  return table::ColumnValues::of(std::move(codes), names.take());
}

Status refuse_unusable(const table::ColumnSpec& spec) {
  return invalid_input("A column has a type that cannot be used; exclude it",
                       {{"column", spec.name}, {"type", spec.source_type}});
}

Result<table::ColumnValues> decode_column(const arrow::ChunkedArray& column,
                                          const table::ColumnSpec& spec) {
  const ValueClass values = value_class(*column.type());
  if (values == ValueClass::unusable) return refuse_unusable(spec);
  if (spec.kind == table::ColumnKind::categorical) return decode_categories(column, spec);
  if (values == ValueClass::text) {
    return invalid_input("A column of numbers holds text; open it as categories",
                         {{"column", spec.name}, {"type", column.type()->ToString()}});
  }
  return decode_numbers(column, spec);
}

}  // namespace evergrove::source
