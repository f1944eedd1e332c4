# holdfast_add_plugin(NAME SOURCE...): NAME.so, hidden visibility, no "lib"
# prefix, linked to nothing of Holdfast's.  The project's own plugins and those
# of others are built by this same function.
function(holdfast_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} SUFFIX ".so"
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  if(HF_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY ${HF_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  target_link_libraries(${name} PRIVATE Holdfast::plugin)
endfunction()

# holdfast_add_conformance_test(TEST PLUGIN target [OPTIONS KEY=VALUE...]
#   [ARGUMENTS ARG...] [TIMEOUT SECONDS]): a CTest that runs holdfast-conform
# on a plugin.  {scratch} in a value is a new folder of each run.
function(holdfast_add_conformance_test test)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PLUGIN;TIMEOUT"
    "OPTIONS;ARGUMENTS")
  if(NOT arg_PLUGIN OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "holdfast_add_conformance_test(TEST PLUGIN target "
      "[OPTIONS KEY=VALUE...] [ARGUMENTS ARG...] [TIMEOUT SECONDS])")
  endif()
  if(TARGET holdfast-conform)
    set(conform $<TARGET_FILE:holdfast-conform>)
  elseif(Holdfast_CONFORM)
    set(conform ${Holdfast_CONFORM})
  else()
    message(FATAL_ERROR "holdfast-conform was not found")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 900)
  endif()
  add_test(NAME ${test} COMMAND ${conform} $<TARGET_FILE:${arg_PLUGIN}>
    ${arg_OPTIONS} ${arg_ARGUMENTS} --format tap)
  set_tests_properties(${test} PROPERTIES
    LABELS conformance TIMEOUT ${arg_TIMEOUT})
endfunction()
