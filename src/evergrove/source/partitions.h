// Partitions: rows that live in another library's memory, such as a Dask frame's partitions, and
// are fetched one partition at a time by whoever reads them.
//
// What is known of them beforehand, their lengths, columns and fingerprints, makes the source; the
// order of the partitions is the order of the rows. A partition that was lost and computed anew is
// held against its fingerprint when it is fetched, and refused if it is another.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto source, open_partitions(partitions, fetch, options));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/source/open.h"
#include "evergrove/table/row_source.h"

namespace evergrove::source {

struct Partition {
  uint64_t row_count = 0;
  uint32_t schema = 0;      // place in PartitionSet::schemas
  std::string fingerprint;  // of its values, as fingerprint_of()

  bool operator==(const Partition&) const = default;
};

struct PartitionSet {
  std::vector<std::string> schemas;  // Arrow IPC messages, each once
  std::vector<Partition> partitions;

  bool empty() const { return partitions.empty(); }
  void add(uint64_t row_count, const std::string& schema, std::string fingerprint);
  bool operator==(const PartitionSet&) const = default;
  void encode(ByteWriter& out) const;
  static Result<PartitionSet> decode(ByteReader& in);
};

// Gives the rows of one partition through the Arrow C stream interface. Called from many threads.
using FetchPartition = std::function<Status(size_t partition, ArrowArrayStream* stream)>;

// Opens partitions without fetching any. Refuses columns that differ between them, by the
// partition's number. fetch may be null for who only describes: reading is then unsupported.
// At most a few partitions are kept in memory at a time.
Result<std::shared_ptr<table::RowSource>> open_partitions(const PartitionSet& set,
                                                          FetchPartition fetch,
                                                          const OpenOptions& options = {});

// What stands for the values of a source: names, kinds and values in row order, whatever their
// types and the batches they lie in.
Result<std::string> fingerprint_of(const table::RowSource& source);

}  // namespace evergrove::source
