// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/scoring_options.h"

#include <charconv>

#include "evergrove/base/number_text.h"

namespace evergrove::runtime {
namespace {

template <typename Number>
bool is_name_of(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end && number_text(number) == text;
}

// Whether a column of numbers or booleans could have had a category of that name.
bool may_be_number(const std::string& name) {
  return name == "true" || name == "false" || is_name_of<int64_t>(name) ||
         is_name_of<uint64_t>(name) || is_name_of<double>(name) || is_name_of<float>(name);
}

}  // namespace

source::OpenOptions scoring_options(const model::Model& model) {
  source::OpenOptions options;
  for (const model::Feature& feature : model.features) {
    if (feature.kind != table::ColumnKind::categorical) continue;
    options.categorical.push_back(feature.name);
    for (const std::string& category : feature.categories) {
      if (may_be_number(category)) continue;
      options.text.push_back(feature.name);
      break;
    }
  }
  return options;
}

}  // namespace evergrove::runtime
