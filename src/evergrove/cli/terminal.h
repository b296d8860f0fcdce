// What is said to people on standard error, with colours only where a person looks at it: on a
// terminal that knows them, unless NO_COLOR is set.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace evergrove::cli {

bool is_terminal(std::FILE* stream);
// A terminal that takes escape sequences, so that a line can be drawn anew.
bool takes_escapes(std::FILE* stream);
bool has_colours(std::FILE* stream);
// The width of the terminal on standard error in characters; 80 if it is not known.
int terminal_width();

enum class Style { bold, dim, red, green };
// Returns the text in that style if the stream has colours, else as it is.
std::string styled(std::string_view text, Style style, std::FILE* stream);

// "evergrove: error: ..." and "evergrove: ...", a line each.
// Text that came with the data, in which escape sequences and further lines become blanks.
std::string printable(std::string_view text);

void print_error(std::string_view sentence);
void print_note(std::string_view sentence);

}  // namespace evergrove::cli
