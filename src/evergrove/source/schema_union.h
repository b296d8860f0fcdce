// SchemaUnion: one schema for the files of a data set.
//
// The first file says which columns there are and in which order. Every other file must have the
// same ones by name, in any order, and of the same class: numbers of different widths are numbers,
// and a column of nulls may be anything; a number and a text are refused, with file and column.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/source/open.h"
#include "evergrove/table/row_source.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace evergrove::source {

// For each column of the union, which field of a file it is.
using FieldPlaces = std::shared_ptr<const std::vector<int>>;

struct SchemaUnion {
  table::Schema columns;
  // The types that all files' values fit into; those of the files where they agree.
  std::shared_ptr<arrow::Schema> arrow;
  std::vector<FieldPlaces> places;  // by file
};

// Requires: as many paths as schemas, at least one.
Result<SchemaUnion> unify_schemas(std::span<const std::shared_ptr<arrow::Schema>> schemas,
                                  std::span<const std::string> paths, const OpenOptions& options);

// Gives a batch the types of the union's schema. Requires: as many columns as `columns`, which are
// places in the union.
Result<std::shared_ptr<arrow::RecordBatch>> conform(std::shared_ptr<arrow::RecordBatch> batch,
                                                    const arrow::Schema& schema,
                                                    std::span<const size_t> columns);

}  // namespace evergrove::source
