// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/file_format.h"

#include <algorithm>
#include <cctype>

namespace evergrove::source {
namespace {

using namespace std::string_view_literals;

struct Stranger {
  std::string_view magic;
  std::string_view message;
};

constexpr Stranger kStrangers[] = {
    {"PARE"sv, "Encrypted Parquet files cannot be read; write it without encryption"sv},
    {"FEA1"sv,
     "Feather files of version 1 cannot be read; write it anew as Arrow IPC or Parquet"sv},
    {"ORC"sv, "ORC files cannot be read; convert it to Parquet"sv},
    {"Obj\x01"sv, "Avro files cannot be read; convert it to Parquet"sv},
    {"PK\x03\x04"sv, "Zip archives and spreadsheets cannot be read; save it as CSV or Parquet"sv},
    {"BZh"sv, "bzip2 files cannot be read; decompress it, or use gzip"sv},
    {"\x28\xb5\x2f\xfd"sv, "zstd files cannot be read; decompress it, or use gzip"sv},
    {"\xfd"
     "7zXZ"sv,
     "xz files cannot be read; decompress it, or use gzip"sv},
    {"\x89HDF"sv, "HDF5 files cannot be read; convert it to Parquet"sv},
    {"SQLite format 3"sv, "SQLite databases cannot be read; export the table as CSV or Parquet"sv},
    {"\xff\xfe"sv, "Text in UTF-16 cannot be read; save it as UTF-8"sv},
    {"\xfe\xff"sv, "Text in UTF-16 cannot be read; save it as UTF-8"sv},
};

std::string lower_name(std::string_view path) {
  std::string name(path.substr(path.rfind('/') + 1));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [name](std::string_view ending) { return name.ends_with(ending); });
}

// Whether a file whose first bytes say nothing should have been a Parquet or Arrow file.
bool should_have_magic(std::string_view name) {
  return ends_with_any(name, {".parquet", ".pq", ".arrow", ".feather", ".ipc"});
}

}  // namespace

Result<FileFormat> detect_format(std::string_view first_bytes, const std::string& path) {
  if (first_bytes.starts_with("PAR1"sv)) return FileFormat::parquet;
  if (first_bytes.starts_with("ARROW1"sv)) return FileFormat::arrow_file;
  if (first_bytes.starts_with("\xff\xff\xff\xff"sv)) return FileFormat::arrow_stream;
  const std::string name = lower_name(path);
  if (first_bytes.starts_with("\x1f\x8b"sv)) {
    if (!should_have_magic(std::string_view(name).substr(0, name.rfind(".gz")))) {
      return FileFormat::csv_gzip;
    }
    return unsupported("Only CSV files may be compressed by gzip; decompress it", {{"file", path}});
  }
  for (const Stranger& stranger : kStrangers) {
    if (first_bytes.starts_with(stranger.magic)) {
      return unsupported(stranger.message, {{"file", path}});
    }
  }
  if (should_have_magic(name)) {
    return corrupt("A file is not what its name says, or its beginning is damaged; write it anew",
                   {{"file", path}});
  }
  const size_t first_seen = first_bytes.find_first_not_of(" \t\r\n");
  if (first_seen != std::string_view::npos && first_bytes[first_seen] == '{') {
    return unsupported("JSON files cannot be read; convert it to CSV or Parquet", {{"file", path}});
  }
  if (first_bytes.find('\0') != std::string_view::npos) {
    return unsupported("A file is neither Parquet, Arrow IPC nor text; check that it is data",
                       {{"file", path}});
  }
  return FileFormat::csv;
}

std::string_view format_name(FileFormat format) {
  switch (format) {
    case FileFormat::parquet:
      return "Parquet";
    case FileFormat::arrow_file:
    case FileFormat::arrow_stream:
      return "Arrow IPC";
    case FileFormat::csv:
    case FileFormat::csv_gzip:
      return "CSV";
  }
  return "";
}

bool has_data_ending(std::string_view path) {
  std::string name = lower_name(path);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return should_have_magic(name) || ends_with_any(name, {".csv", ".tsv", ".txt", ".arrows"});
}

}  // namespace evergrove::source
