// What a file is, by its first bytes and its name.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace evergrove::source {

enum class FileFormat : uint8_t { parquet, arrow_file, arrow_stream, csv, csv_gzip };

inline constexpr size_t kFormatBytes = 512;  // as many of the first bytes tell

// Parquet, Arrow and gzip begin with bytes of their own; everything else that looks like text is
// CSV. Refuses what is known to be something else, with what to do about it.
Result<FileFormat> detect_format(std::string_view first_bytes, const std::string& path);

// The format as people call it.
std::string_view format_name(FileFormat format);

// True for the endings of data files: .parquet, .csv, .arrow and so on, also with .gz.
bool has_data_ending(std::string_view path);

}  // namespace evergrove::source
