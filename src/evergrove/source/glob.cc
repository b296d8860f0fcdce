// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/glob.h"

#include <fnmatch.h>

namespace evergrove::source {
namespace {

size_t first_wildcard(std::string_view path, bool is_url) {
  // In a URL a ? begins the parameters of its store.
  return is_url ? path.substr(0, path.find('?')).find_first_of("*[") : path.find_first_of("*?[");
}

// The first name of a path; the rest is left in path.
std::string_view take_name(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view name = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  return name;
}

bool begins_hidden(std::string_view name) {
  return !name.empty() && (name[0] == '.' || name[0] == '_');
}

bool name_matches(std::string_view pattern, std::string_view name) {
  if (begins_hidden(name) && (pattern.empty() || pattern[0] != name[0])) return false;
  return fnmatch(std::string(pattern).c_str(), std::string(name).c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace

bool has_wildcard(std::string_view path, bool is_url) {
  return first_wildcard(path, is_url) != std::string_view::npos;
}

Glob split_glob(std::string_view path, bool is_url) {
  const size_t slash = path.rfind('/', first_wildcard(path, is_url));
  if (slash == std::string_view::npos) return {"", std::string(path)};
  const size_t folder_end = slash == 0 ? 1 : slash;  // the root keeps its slash
  return {std::string(path.substr(0, folder_end)), std::string(path.substr(slash + 1))};
}

bool matches(std::string_view pattern, std::string_view path) {
  if (pattern.empty() || path.empty()) return pattern.empty() && path.empty();
  const std::string_view whole_pattern = pattern;
  const std::string_view pattern_name = take_name(pattern);
  if (pattern_name == "**") {
    if (matches(pattern, path)) return true;
    const std::string_view name = take_name(path);
    return !begins_hidden(name) && !path.empty() && matches(whole_pattern, path);
  }
  return name_matches(pattern_name, take_name(path)) && matches(pattern, path);
}

bool is_hidden(std::string_view path) {
  while (!path.empty()) {
    if (begins_hidden(take_name(path))) return true;
  }
  return false;
}

}  // namespace evergrove::source
