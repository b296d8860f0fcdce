// Globs: patterns of paths.
//
//   *  any characters of one name    ?  one character    [a-z]  one of these    **  any folders
//
// A wildcard never stands for a . or _ at the beginning of a name: such names are hidden, or the
// markers of other tools.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace evergrove::source {

struct Glob {
  std::string folder;   // before the first wildcard; may be empty, no slash at its end
  std::string pattern;  // of the rest of the path
};

bool has_wildcard(std::string_view path, bool is_url);
// Requires: has_wildcard(path, is_url).
Glob split_glob(std::string_view path, bool is_url);
bool matches(std::string_view pattern, std::string_view path);
// True if a name of the path begins with . or _.
bool is_hidden(std::string_view path);

}  // namespace evergrove::source
