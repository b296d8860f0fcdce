// Arrow columns as the numbers and categories of a row block.
//
// Numbers: one chunk of float or double without nulls is passed on without a copy, everything else
// is converted, to float where all of the column is float or half, else to double; null becomes
// NaN, times become seconds. Categories: a code for each distinct value that a row of the column
// has, in order of first sight, whatever its dictionary holds twice, as null or for nobody; numbers
// are named by number_text(), booleans "true" and "false", and NaN is missing.
// Pure; call from any thread. For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace arrow {
class Array;
class ChunkedArray;
}  // namespace arrow

namespace evergrove::source {

// Refuses a column that is not usable, text for a numeric spec, and text that is not UTF-8.
Result<table::ColumnValues> decode_column(const arrow::ChunkedArray& column,
                                          const table::ColumnSpec& spec);

// The refusal of a column that is not usable, before any of it is read.
Status refuse_unusable(const table::ColumnSpec& spec);

// The two kinds, and what they share.
Result<table::ColumnValues> decode_numbers(const arrow::ChunkedArray& column,
                                           const table::ColumnSpec& spec);
Result<table::ColumnValues> decode_categories(const arrow::ChunkedArray& column,
                                              const table::ColumnSpec& spec);
// Writes array.length() values. Requires: a number, a time, null, or a dictionary of these.
Status write_numbers(const arrow::Array& array, double* out);
// Makes every index of a dictionary array that is not null a place in its dictionary.
Result<std::vector<int64_t>> dictionary_indices(const arrow::Array& array);

}  // namespace evergrove::source
