// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/data_description.h"

#include <algorithm>

#include "evergrove/source/open.h"

namespace evergrove::runtime {
namespace {

void write_texts(const std::vector<std::string>& texts, ByteWriter& out) {
  out.u32(static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) out.string(text);
}
std::vector<std::string> read_texts(ByteReader& in) {
  std::vector<std::string> texts;
  const uint32_t count = in.count(4);
  for (uint32_t i = 0; i < count && in.ok(); ++i) texts.push_back(in.string());
  return texts;
}

}  // namespace

void DataDescription::encode(ByteWriter& out) const {
  write_texts(data, out);
  out.u32(static_cast<uint32_t>(valid.size()));
  for (const auto& paths : valid) write_texts(paths, out);
  out.f64(valid_fraction).string(label).string(weight);
  write_texts(exclude, out);
  write_texts(categorical, out);
  out.u32(static_cast<uint32_t>(column_types.size()));
  for (const auto& [name, type] : column_types) out.string(name).string(type);
  out.u8(objective_is_chosen);
  out.u32(static_cast<uint32_t>(partitions.size()));
  for (const source::PartitionSet& set : partitions) set.encode(out);
}

Result<DataDescription> DataDescription::decode(ByteReader& in) {
  DataDescription description;
  description.data = read_texts(in);
  const uint32_t valid_count = in.count(4);
  for (uint32_t i = 0; i < valid_count && in.ok(); ++i) {
    description.valid.push_back(read_texts(in));
  }
  description.valid_fraction = in.f64();
  description.label = in.string();
  description.weight = in.string();
  description.exclude = read_texts(in);
  description.categorical = read_texts(in);
  const uint32_t type_count = in.count(8);
  for (uint32_t i = 0; i < type_count && in.ok(); ++i) {
    const std::string name = in.string();
    description.column_types[name] = in.string();
  }
  description.objective_is_chosen = in.u8() != 0;
  const uint32_t set_count = in.count(8);
  for (uint32_t i = 0; i < set_count; ++i) {
    EVERGROVE_ASSIGN_OR_RETURN(description.partitions.emplace_back(),
                               source::PartitionSet::decode(in));
  }
  if (set_count != 0 && set_count != description.valid.size() + 1) in.fail();
  if (!in.ok()) return corrupt("The description of the data is not what it should be");
  return description;
}

Result<train::DataSpec> open_data(const DataDescription& description, source::Readers readers,
                                  const FetchPartitionOfSet& fetch) {
  const auto open_set = [&](size_t set, const std::vector<std::string>& paths,
                            const source::OpenOptions& options) {
    if (!description.has_partitions() || description.partitions[set].empty()) {
      return source::open(paths, options);
    }
    source::FetchPartition fetch_partition;
    if (fetch) {
      fetch_partition = [fetch, set](size_t partition, ArrowArrayStream* stream) {
        return fetch(set, partition, stream);
      };
    }
    return source::open_partitions(description.partitions[set], std::move(fetch_partition),
                                   options);
  };
  train::DataSpec spec;
  source::OpenOptions open;
  open.readers = readers;
  open.categorical = description.categorical;
  open.column_types = description.column_types;
  EVERGROVE_ASSIGN_OR_RETURN(spec.data, open_set(0, description.data, open));
  // What is text in training is text in validation, though a small file's values look like numbers.
  for (const table::ColumnSpec& column : spec.data->schema().columns) {
    if (column.kind != table::ColumnKind::categorical) continue;
    open.categorical.push_back(column.name);
    const auto& chosen = description.categorical;
    const bool is_text = std::find(chosen.begin(), chosen.end(), column.name) == chosen.end();
    if (is_text) open.text.push_back(column.name);
  }
  for (size_t i = 0; i < description.valid.size(); ++i) {
    // The set that a fraction makes is the first one, and has the plain name.
    const size_t number = i + (description.valid_fraction > 0 ? 1 : 0);
    const std::string name = number == 0 ? "valid" : "valid_" + std::to_string(number);
    EVERGROVE_ASSIGN_OR_RETURN(auto source, open_set(i + 1, description.valid[i], open));
    spec.valid.push_back({name, std::move(source)});
  }
  spec.valid_fraction = description.valid_fraction;
  spec.label = description.label;
  spec.weight = description.weight;
  spec.exclude = description.exclude;
  spec.categorical = description.categorical;
  spec.objective_is_chosen = description.objective_is_chosen;
  return spec;
}

}  // namespace evergrove::runtime
