// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/value_manifest.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <limits>

#include "evergrove/source/content_hash.h"

namespace evergrove::source {
namespace {

// All NaNs are one missing value, and -0.0 is 0.
template <typename Number>
void hash_numbers(std::span<const Number> values, ContentHash& hash) {
  constexpr Number kMissing = std::numeric_limits<Number>::quiet_NaN();
  std::vector<Number> buffer(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    buffer[i] = std::isnan(values[i]) ? kMissing : values[i] + Number{0};
  }
  hash.update(buffer.data(), buffer.size() * sizeof(Number));
}

void hash_categories(const table::ColumnValues& values, ContentHash& hash) {
  std::vector<uint64_t> hash_of_code;
  for (const std::string& name : values.dictionary) hash_of_code.push_back(text_hash(name));
  std::vector<uint64_t> buffer(values.codes.size());
  for (size_t i = 0; i < buffer.size(); ++i) {
    buffer[i] = values.codes[i] < 0 ? 0 : hash_of_code[values.codes[i]];
  }
  hash.update(buffer.data(), buffer.size() * sizeof(uint64_t));
}

Result<std::string> hash_column(const table::RowSource& source, size_t column) {
  ContentHash hash;
  for (size_t b = 0; b < source.blocks().size(); ++b) {
    EVERGROVE_ASSIGN_OR_RETURN(const table::RowBlock block, source.read(b, {&column, 1}));
    const table::ColumnValues& values = block.columns[0];
    if (!values.f32.empty()) hash_numbers(values.f32, hash);
    if (!values.f64.empty()) hash_numbers(values.f64, hash);
    if (!values.codes.empty()) hash_categories(values, hash);
  }
  return hash.hex();
}

}  // namespace

Result<std::string> value_fingerprint(const table::RowSource& source) {
  const std::vector<table::ColumnSpec>& columns = source.schema().columns;
  std::vector<Result<std::string>> hashes(columns.size(), std::string());
  tbb::parallel_for(size_t{0}, columns.size(), [&](size_t column) {
    if (columns[column].usable) hashes[column] = hash_column(source, column);
  });
  ContentHash whole;
  for (size_t column = 0; column < columns.size(); ++column) {
    if (!hashes[column].ok()) return hashes[column].status();
    const bool is_numeric = columns[column].kind == table::ColumnKind::numeric;
    whole.update(columns[column].name);
    whole.update(is_numeric ? " numbers " : " categories ");
    whole.update(*hashes[column]);
  }
  return whole.hex();
}

const table::Manifest& ValueManifest::manifest(const table::RowSource& source) const {
  std::call_once(once_, [&] {
    // Isolated: while it waits, this thread must not take up a task that asks for the manifest.
    tbb::this_task_arena::isolate([&] {
      const Result<std::string> fingerprint = value_fingerprint(source);
      manifest_.row_count = source.row_count();
      manifest_.files.push_back(
          {"(memory)", 0, 0, manifest_.row_count, fingerprint.ok() ? *fingerprint : "unreadable"});
    });
  });
  return manifest_;
}

}  // namespace evergrove::source
