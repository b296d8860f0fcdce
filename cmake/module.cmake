# evergrove_module(NAME DEPENDS module... [LIBRARIES target...] [PCH header...])
#
# Makes the static library evergrove_NAME of all *.cc in the folder that are not tests, and the
# test NAME_test of all *_test.cc. DEPENDS is the whole list of modules that NAME may include:
# tools/tidy.py reads this very line and fails on any other include.
function(evergrove_module name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LIBRARIES;PCH" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")

  set(dependencies)
  foreach(dependency IN LISTS arg_DEPENDS)
    list(APPEND dependencies evergrove_${dependency})
  endforeach()
  if(sources)
    add_library(evergrove_${name} STATIC ${sources})
    target_link_libraries(evergrove_${name}
      PUBLIC evergrove_flags ${dependencies} PRIVATE ${arg_LIBRARIES})
    if(arg_PCH)
      target_precompile_headers(evergrove_${name} PRIVATE ${arg_PCH})
    endif()
  else()
    add_library(evergrove_${name} INTERFACE)
    target_link_libraries(evergrove_${name} INTERFACE evergrove_flags ${dependencies})
  endif()
  if(EVERGROVE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test
      PRIVATE evergrove_${name} ${arg_LIBRARIES} GTest::gtest_main rapidcheck)
    if(arg_PCH)
      target_precompile_headers(${name}_test PRIVATE ${arg_PCH} <gtest/gtest.h>)
    else()
      target_precompile_headers(${name}_test PRIVATE <gtest/gtest.h>)
    endif()
    add_test(NAME ${name}_test COMMAND ${name}_test)
    set_tests_properties(${name}_test PROPERTIES
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} LABELS unit TIMEOUT 600)
  endif()
endfunction()
