// Arrow numbers and times as doubles (or floats).
// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "evergrove/source/column_decoder.h"
#include "evergrove/source/epoch_seconds.h"

namespace evergrove::source {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

int64_t units_per_second(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      return 1'000'000'000;
  }
  return 1;
}

template <typename ArrayType, typename Convert>
void convert_all(const arrow::Array& array, double* out, Convert convert) {
  const auto* values = static_cast<const ArrayType&>(array).raw_values();
  for (int64_t i = 0; i < array.length(); ++i) out[i] = convert(values[i]);
}

template <typename ArrayType>
void cast_all(const arrow::Array& array, double* out) {
  convert_all<ArrayType>(array, out, [](auto value) { return static_cast<double>(value); });
}

template <typename ArrayType, typename TypeClass>
void seconds_of_all(const arrow::Array& array, double* out) {
  const int64_t units = units_per_second(static_cast<const TypeClass&>(*array.type()).unit());
  convert_all<ArrayType>(array, out, [units](auto value) { return epoch_seconds(value, units); });
}

// The double nearest to the decimal, as a reader of its digits would have it: 12.34 must be the
// same number in a decimal(10, 2) and in a CSV. Powers of ten to 10^22 are exact, and so is the
// quotient's rounding; larger ones go by way of the digits.
double nearest_double(const std::string& digits, int32_t scale) {
  int64_t small = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, small);
  constexpr int64_t kExactMax = int64_t{1} << 53;
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (parsed.ec == std::errc() && std::abs(small) <= kExactMax && scale >= 0 && scale <= 22) {
    return static_cast<double>(small) / kPowers[scale];
  }
  const std::string text = digits + "e" + std::to_string(-int64_t{scale});
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

template <typename ArrayType, typename Decimal>
void decimals_of_all(const arrow::Array& array, double* out) {
  const auto& decimals = static_cast<const ArrayType&>(array);
  const int32_t scale = static_cast<const arrow::DecimalType&>(*array.type()).scale();
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;  // there may be anything
    out[i] = nearest_double(Decimal(decimals.GetValue(i)).ToIntegerString(), scale);
  }
}

Status dictionary_numbers(const arrow::Array& array, double* out) {
  const arrow::Array& dictionary = *static_cast<const arrow::DictionaryArray&>(array).dictionary();
  std::vector<double> numbers(dictionary.length());
  EVERGROVE_RETURN_IF_ERROR(write_numbers(dictionary, numbers.data()));
  EVERGROVE_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, dictionary_indices(array));
  for (size_t i = 0; i < indices.size(); ++i) {
    out[i] = indices[i] < 0 ? kMissing : numbers[indices[i]];
  }
  return {};
}

// Writes what is in the slots, also in those that are null.
Status write_slots(const arrow::Array& array, double* out) {
  switch (array.type_id()) {
    case arrow::Type::NA:
      std::fill_n(out, array.length(), kMissing);
      break;
    case arrow::Type::BOOL: {
      const auto& flags = static_cast<const arrow::BooleanArray&>(array);
      for (int64_t i = 0; i < array.length(); ++i) out[i] = flags.Value(i) ? 1.0 : 0.0;
      break;
    }
    case arrow::Type::INT8:
      cast_all<arrow::Int8Array>(array, out);
      break;
    case arrow::Type::INT16:
      cast_all<arrow::Int16Array>(array, out);
      break;
    case arrow::Type::INT32:
      cast_all<arrow::Int32Array>(array, out);
      break;
    case arrow::Type::INT64:
      cast_all<arrow::Int64Array>(array, out);
      break;
    case arrow::Type::UINT8:
      cast_all<arrow::UInt8Array>(array, out);
      break;
    case arrow::Type::UINT16:
      cast_all<arrow::UInt16Array>(array, out);
      break;
    case arrow::Type::UINT32:
      cast_all<arrow::UInt32Array>(array, out);
      break;
    case arrow::Type::UINT64:
      cast_all<arrow::UInt64Array>(array, out);
      break;
    case arrow::Type::HALF_FLOAT:
      convert_all<arrow::HalfFloatArray>(array, out, [](uint16_t bits) {
        return arrow::util::Float16::FromBits(bits).ToDouble();
      });
      break;
    case arrow::Type::FLOAT:
      cast_all<arrow::FloatArray>(array, out);
      break;
    case arrow::Type::DOUBLE:
      cast_all<arrow::DoubleArray>(array, out);
      break;
    case arrow::Type::DECIMAL32:
      decimals_of_all<arrow::Decimal32Array, arrow::Decimal32>(array, out);
      break;
    case arrow::Type::DECIMAL64:
      decimals_of_all<arrow::Decimal64Array, arrow::Decimal64>(array, out);
      break;
    case arrow::Type::DECIMAL128:
      decimals_of_all<arrow::Decimal128Array, arrow::Decimal128>(array, out);
      break;
    case arrow::Type::DECIMAL256:
      decimals_of_all<arrow::Decimal256Array, arrow::Decimal256>(array, out);
      break;
    case arrow::Type::DATE32:
      convert_all<arrow::Date32Array>(array, out, [](int32_t days) { return 86400.0 * days; });
      break;
    case arrow::Type::DATE64:
      convert_all<arrow::Date64Array>(array, out,
                                      [](int64_t count) { return epoch_seconds(count, 1000); });
      break;
    case arrow::Type::TIMESTAMP:
      seconds_of_all<arrow::TimestampArray, arrow::TimestampType>(array, out);
      break;
    case arrow::Type::TIME32:
      seconds_of_all<arrow::Time32Array, arrow::Time32Type>(array, out);
      break;
    case arrow::Type::TIME64:
      seconds_of_all<arrow::Time64Array, arrow::Time64Type>(array, out);
      break;
    case arrow::Type::DURATION:
      seconds_of_all<arrow::DurationArray, arrow::DurationType>(array, out);
      break;
    default:
      return internal_error("A column of this type has no numbers",
                            {{"type", array.type()->ToString()}});
  }
  return {};
}

template <typename Number, typename ArrayType>
std::span<const Number> span_of(const arrow::Array& array) {
  const auto& values = static_cast<const ArrayType&>(array);
  return {values.raw_values(), static_cast<size_t>(array.length())};
}

bool is_float(const arrow::DataType& type) {
  return type.id() == arrow::Type::FLOAT || type.id() == arrow::Type::HALF_FLOAT;
}

// All chunks float or half: as float, which holds both exactly.
table::ColumnValues decode_floats(const arrow::ChunkedArray& column) {
  auto values = std::make_shared<std::vector<float>>(column.length());
  float* out = values->data();
  for (const auto& chunk : column.chunks()) {
    if (chunk->type_id() == arrow::Type::FLOAT) {
      const auto floats = span_of<float, arrow::FloatArray>(*chunk);
      std::copy(floats.begin(), floats.end(), out);
    } else {
      const auto halves = span_of<uint16_t, arrow::HalfFloatArray>(*chunk);
      for (size_t i = 0; i < halves.size(); ++i) {
        out[i] = arrow::util::Float16::FromBits(halves[i]).ToFloat();
      }
    }
    if (chunk->null_count() > 0) {
      for (int64_t i = 0; i < chunk->length(); ++i) {
        if (chunk->IsNull(i)) out[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    out += chunk->length();
  }
  table::ColumnValues result;
  result.f32 = *values;
  result.owner = std::move(values);
  return result;
}

}  // namespace

Status write_numbers(const arrow::Array& array, double* out) {
  if (array.type_id() == arrow::Type::EXTENSION) {
    return write_numbers(*static_cast<const arrow::ExtensionArray&>(array).storage(), out);
  }
  if (array.type_id() == arrow::Type::DICTIONARY) return dictionary_numbers(array, out);
  EVERGROVE_RETURN_IF_ERROR(write_slots(array, out));
  if (array.null_count() > 0) {
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i)) out[i] = kMissing;
    }
  }
  return {};
}

Result<table::ColumnValues> decode_numbers(const arrow::ChunkedArray& column,
                                           const table::ColumnSpec& /*spec*/) {
  if (column.num_chunks() == 1 && column.null_count() == 0) {
    const auto& chunk = column.chunk(0);
    table::ColumnValues values;
    values.owner = chunk;
    if (chunk->type_id() == arrow::Type::FLOAT) {
      values.f32 = span_of<float, arrow::FloatArray>(*chunk);
      return values;
    }
    if (chunk->type_id() == arrow::Type::DOUBLE) {
      values.f64 = span_of<double, arrow::DoubleArray>(*chunk);
      return values;
    }
  }
  if (is_float(*column.type())) return decode_floats(column);
  std::vector<double> numbers(column.length());
  double* out = numbers.data();
  for (const auto& chunk : column.chunks()) {
    EVERGROVE_RETURN_IF_ERROR(write_numbers(*chunk, out));
    out += chunk->length();
  }
  return table::ColumnValues::of(std::move(numbers));
}

}  // namespace evergrove::source
