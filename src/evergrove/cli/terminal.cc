// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace evergrove::cli {
namespace {

void print_line(std::string_view start, std::string_view sentence) {
  const std::string line = std::string(start) + printable(sentence) + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace

bool is_terminal(std::FILE* stream) { return isatty(fileno(stream)) == 1; }

bool takes_escapes(std::FILE* stream) {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return is_terminal(stream);
}

bool has_colours(std::FILE* stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  return (no_colour == nullptr || *no_colour == 0) && takes_escapes(stream);
}

int terminal_width() {
  winsize size = {};
  if (ioctl(fileno(stderr), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string styled(std::string_view text, Style style, std::FILE* stream) {
  if (!has_colours(stream)) return std::string(text);
  const char* code = style == Style::bold  ? "1"
                     : style == Style::dim ? "2"
                     : style == Style::red ? "31"
                                           : "32";
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

std::string printable(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return result;
}

void print_error(std::string_view sentence) {
  print_line("evergrove: " + styled("error", Style::red, stderr) + ": ", sentence);
}

void print_note(std::string_view sentence) { print_line("evergrove: ", sentence); }

}  // namespace evergrove::cli
