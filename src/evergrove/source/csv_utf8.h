// Whether bytes are UTF-8, as the names and categories of a model must be: they end in Arrow
// strings and in JSON, where other bytes have no place.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace evergrove::source {

bool is_ascii(std::string_view bytes);

// As Unicode defines it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view bytes);

// The bytes as a message can show them: at most about 40, control bytes and what is not UTF-8 as
// \xNN, in double quotes.
std::string shown(std::string_view bytes);

}  // namespace evergrove::source
